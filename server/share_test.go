package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// Users that need no account: all that counts is who owns a reply queue.
const (
	greedy = 70001
	modest = 70002
)

// tiny holds nothing of a large file but its beginning.
var tiny = harness.Shape{Depth: 1, MsgSize: 512}

// asking returns clients that have asked for a file and taken nothing yet.
func asking(t *testing.T, s *harness.Server, n int, path string) (clients []*harness.Client) {
	t.Helper()
	for range n {
		c := client(t, tiny)
		must(t, c.Request(t.Context(), s.Queue, path))
		clients = append(clients, c)
	}
	return clients
}

func mustFinish(t *testing.T, c *harness.Client, path string, size int) {
	t.Helper()
	e, err := c.Finish(t.Context(), path)
	if err != nil || len(e.Content) != size {
		t.Errorf("%s: %s, %d bytes, want %d, %v", path, e.Summary(), len(e.Content), size, err)
	}
}

// mustFinishAll finishes them side by side: which of them are held back is the server's affair.
func mustFinishAll(t *testing.T, clients []*harness.Client, path string, size int) {
	t.Helper()
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() { mustFinish(t, c, path, size) })
	}
	all.Wait()
}

// mustBeTaken waits until the server has taken all requests out of its queue.
func mustBeTaken(t *testing.T, s *harness.Server) {
	t.Helper()
	eventually(t, "all requests are taken", func() bool {
		_, attr, err := harness.QueueStatus(s.Queue)
		must(t, err)
		return attr.CurMsgs == 0
	})
}

func mustBeHeldBack(t *testing.T, s *harness.Server, requests int) {
	t.Helper()
	eventually(t, "requests are held back", func() bool {
		out, _ := run("--status", "--pidfile", s.PIDFile)
		return strings.Contains(out, fmt.Sprintf(" %d held back", requests))
	})
}

func TestOneUsersStuckClientsLeaveRoomForOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a reply queue of another user")
	}
	const size = 64 << 10
	s := start(t, place(t), "--transfers", "4") // of which 3 are one user's share
	must(t, s.WriteFile("large", make([]byte, size)))
	must(t, s.WriteFile("small", []byte("x")))
	var stuck []*harness.Client
	for range 12 {
		c := client(t, tiny)
		must(t, c.GiveTo(greedy))
		must(t, c.Request(t.Context(), s.Queue, "large"))
		stuck = append(stuck, c)
	}
	mustBeTaken(t, s)
	for path, length := range map[string]int{"small": 1, "large": size} {
		c := client(t, tiny)
		must(t, c.GiveTo(modest))
		must(t, c.Request(t.Context(), s.Queue, path))
		mustFinish(t, c, path, length)
	}
	mustFinishAll(t, stuck, "large", size)
}

func TestOneUserAloneIsRefusedNothing(t *testing.T) {
	const size = 64 << 10
	s := start(t, place(t), "--transfers", "8", "--share", "2")
	must(t, s.WriteFile("large", make([]byte, size)))
	clients := asking(t, s, 40, "large")
	mustBeTaken(t, s)
	mustFinishAll(t, clients, "large", size)
}

func TestWhatIsHeldBackIsBounded(t *testing.T) {
	s := start(t, place(t), "--transfers", "8", "--share", "1")
	must(t, s.WriteFile("large", make([]byte, 1<<20)))
	must(t, s.WriteFile("small", []byte("x")))
	inMidTransfer(t, s, "large")
	hostile := client(t, tiny)
	for range 1100 {
		must(t, hostile.Request(t.Context(), s.Queue, "large"))
	}
	eventually(t, "a request is refused", func() bool {
		log, err := os.ReadFile(s.Log)
		must(t, err)
		return strings.Contains(string(log), "too many transfers")
	})
	c := client(t, harness.Small)
	must(t, c.Request(t.Context(), s.Queue, "small"))
	mustFinish(t, c, "small", 1)
}

func TestWhatIsHeldBackIsRefusedAtTheEnd(t *testing.T) {
	const size = 64 << 10
	s := start(t, place(t), "--transfers", "8", "--share", "1")
	must(t, s.WriteFile("large", make([]byte, size)))
	running := inMidTransfer(t, s, "large")
	held := asking(t, s, 1, "large")[0]
	mustBeTaken(t, s)
	must(t, s.Signal(unix.SIGTERM))
	e, err := held.Finish(t.Context(), "large")
	if text, failed := e.Failed(); err != nil || !failed || !strings.Contains(text, "stopping") {
		t.Error(e.Summary(), err)
	}
	if e, err := running.Finish(t.Context(), "large"); err != nil || e.Last().Kind != wire.End {
		t.Error(e.Summary(), err)
	}
}

// A client that has died would take nothing for the whole stall time, and hold up the others of its user.
func TestAClientThatDiesWhileItIsHeldBackHoldsUpNobody(t *testing.T) {
	const size = 64 << 10
	s := start(t, place(t), "--transfers", "8", "--share", "1")
	must(t, s.WriteFile("large", make([]byte, size)))
	running := inMidTransfer(t, s, "large")
	victim := exec.Command("sleep", "1000")
	must(t, victim.Start())
	dying := client(t, tiny)
	dying.PID = int32(victim.Process.Pid)
	must(t, dying.Request(t.Context(), s.Queue, "large"))
	mustBeHeldBack(t, s, 1) // so that its PID is known to be a client's
	last := asking(t, s, 1, "large")[0]
	mustBeHeldBack(t, s, 2)
	victim.Process.Kill()
	victim.Wait()
	_, err := running.Finish(t.Context(), "large")
	must(t, err)
	mustFinish(t, last, "large", size)
}
