package main_test

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// What one local user may try to deny service to others or to end the server.

// leased makes a file below the root and holds a lease on it that it never gives up; the channel gets each request to
// do so.
func leased(t *testing.T, s *harness.Server) (*os.File, <-chan os.Signal) {
	t.Helper()
	must(t, s.WriteFile("leased", []byte("content")))
	f, err := os.OpenFile(filepath.Join(s.Root, "leased"), os.O_RDWR, 0)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skip("no lease on this file system:", err)
	}
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, unix.SIGIO)
	t.Cleanup(func() { signal.Stop(broken) })
	return f, broken
}

func TestALeasedFileHoldsUpNoOtherRequest(t *testing.T) {
	s := start(t, place(t))
	_, broken := leased(t, s)
	asking(t, s, 20, "leased")
	<-broken
	watch := harness.NewStopwatch()
	mustServe(t, s)
	if !watch.Within(time.Second) {
		t.Errorf("the next request took %v", watch.Took())
	}
}

func TestWaitingForALeaseCountsAmongTheUsersTransfers(t *testing.T) {
	s := start(t, place(t), "--transfers", "8")
	_, broken := leased(t, s)
	clients := asking(t, s, 8, "leased")
	<-broken
	mustServe(t, s)
	mustBeTaken(t, s)
	refused := 0
	eventually(t, "half of them are refused", func() bool {
		for _, c := range clients {
			if m, ok := c.Pending(); ok && m.Kind == wire.Failure {
				refused++
			}
		}
		return refused == len(clients)/2
	})
}

func TestSIGTERMEndsTheWaitForALease(t *testing.T) {
	t.Parallel() // it waits
	s := start(t, place(t))
	_, broken := leased(t, s)
	c := client(t, harness.Small)
	must(t, c.Request(t.Context(), s.Queue, "leased"))
	<-broken
	must(t, s.Signal(unix.SIGTERM))
	mustEnd(t, s)
	if m, ok := c.Pending(); !ok || m.Kind != wire.Failure {
		t.Errorf("after SIGTERM the client has %v", m)
	}
}

func TestStallBoundsTheWaitForALease(t *testing.T) {
	s := start(t, place(t), "--stall", "0.1")
	leased(t, s)
	if text, _ := fetch(t, s, "leased").Failed(); !strings.Contains(text, unix.EAGAIN.Error()) {
		t.Errorf("FAILURE %q", text)
	}
}

// The kernel takes a path of PATH_MAX bytes including its NUL, see path_resolution(7): the server must add nothing to
// it.
func TestAPathMayHave4095Bytes(t *testing.T) {
	s := start(t, place(t))
	must(t, s.WriteFile("file", []byte("x")))
	must(t, s.WriteFile("f", []byte("x")))
	for _, path := range []string{strings.Repeat("./", 2047) + "f", "/" + strings.Repeat("./", 2045) + "file"} {
		e := fetch(t, s, path)
		if len(path) != 4095 || string(e.Content) != "x" {
			t.Errorf("%d bytes, %.4q...: %v", len(path), path, e.Last().Kind)
		}
	}
}

func TestALongPathLeavesRoomForTheReason(t *testing.T) {
	s := start(t, place(t))
	c := client(t, harness.Shape{Depth: 1, MsgSize: wire.MinMsgSize})
	e, err := c.Fetch(t.Context(), s.Queue, strings.Repeat("x", 256))
	must(t, err)
	if text, _ := e.Failed(); text != unix.ENAMETOOLONG.Error() {
		t.Errorf("got %q", text)
	}
}

// Dots after a symbolic link are for the kernel to resolve.
func TestTheRootIsTakenAsItIsWritten(t *testing.T) {
	p := place(t)
	must(t, p.WriteFile("a/b/file", nil))
	must(t, p.WriteFile("a/file", []byte("x")))
	must(t, os.Symlink("a/b", filepath.Join(p.Root, "link")))
	s := start(t, p, "--root", p.Root+"/link/..")
	if e := fetch(t, s, "file"); string(e.Content) != "x" {
		t.Error(e.Summary())
	}
}

func TestAFileThatCannotBeReadIsNoEmptyFile(t *testing.T) {
	const path = "self/attr/current" // EINVAL where no security module is active
	if _, err := os.ReadFile("/proc/" + path); err == nil {
		t.Skip("/proc/" + path + " can be read: a security module is active")
	}
	s := start(t, place(t), "--root", "/proc")
	e := fetch(t, s, path)
	if _, failed := e.Failed(); !failed {
		t.Error(e.Summary())
	}
}

// hangingLog makes the log a FIFO whose reader takes nothing.
func hangingLog(t *testing.T, p harness.Place) (reader *os.File) {
	t.Helper()
	must(t, os.RemoveAll(p.Log))
	must(t, unix.Mkfifo(p.Log, 0o666))
	must(t, os.Chmod(p.Log, 0o666)) // the account reopens it on SIGHUP
	reader, err := os.OpenFile(p.Log, os.O_RDONLY|unix.O_NONBLOCK, 0)
	must(t, err)
	t.Cleanup(func() { reader.Close() })
	return reader
}

// flood makes the server write to its log.
func flood(t *testing.T, s *harness.Server, n int) {
	t.Helper()
	q, err := mq.Open(s.Queue, os.O_WRONLY, 0, nil)
	must(t, err)
	defer q.Close()
	garbage := make([]byte, wire.RequestSize)
	for range n {
		must(t, q.Send(t.Context(), garbage, 0))
	}
}

func TestALogThatHangsHoldsUpNeitherServiceNorEnd(t *testing.T) {
	p := place(t)
	hangingLog(t, p)
	s := start(t, p)
	flood(t, s, 5000)
	must(t, s.Signal(unix.SIGHUP))
	mustServe(t, s)
	must(t, s.Signal(unix.SIGTERM))
	mustEnd(t, s)
}

func TestWhatALogThatHangsIsToGetIsBounded(t *testing.T) {
	p := place(t)
	reader := hangingLog(t, p)
	s := start(t, p)
	for begin := time.Now(); time.Since(begin) < 4*time.Second; { // the log accepts 1 MiB at once and 256 KiB a second
		flood(t, s, 1000)
	}
	must(t, s.Signal(unix.SIGTERM))
	kept, err := io.Copy(io.Discard, reader)
	if err != nil || kept > 2<<20 {
		t.Errorf("%d bytes were kept, %v", kept, err)
	}
	mustEnd(t, s)
}

func TestALogThatIsAStrangersFIFOIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a FIFO of another user")
	}
	p := place(t)
	hangingLog(t, p)
	must(t, os.Chown(p.Log, 1, 1))
	s, err := programs.StartServer(t.Context(), p, harness.Setting{})
	if err == nil {
		s.Close()
		t.Fatal("the server started")
	}
	if !strings.Contains(err.Error(), "belongs to user 1") {
		t.Error(err)
	}
}

// Anybody who may send may also register for notification, again and again.
func TestAStolenRegistrationDoesNotSlowDownService(t *testing.T) {
	s := start(t, place(t))
	must(t, s.WriteFile("file", []byte("x")))
	thief, err := mq.Open(s.Queue, os.O_WRONLY, 0, nil)
	must(t, err)
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				thief.NotifyNone() // EBUSY most of the time
			}
		}
	}()
	defer func() { close(stop); <-stopped; thief.Close() }()
	// Longer than a goroutine lingers, so that each request notifies.
	const apart = 50 * time.Millisecond
	c := client(t, harness.Small)
	eventually(t, "the registration is stolen", func() bool {
		time.Sleep(apart)
		_, err := c.Fetch(t.Context(), s.Queue, "file")
		must(t, err)
		status, _, err := harness.QueueStatus(s.Queue)
		must(t, err)
		return status.NotifyPID == os.Getpid()
	})
	watch := harness.NewStopwatch()
	for range 10 {
		time.Sleep(apart)
		mustServe(t, s)
	}
	if !watch.Within(3 * time.Second) {
		t.Errorf("10 requests took %v", watch.Took())
	}
}

// A client's PID in another PID namespace may be a stranger's here.
func TestTheEndOfAStrangersProcessEndsNoTransfer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start a stranger's process")
	}
	s := start(t, place(t))
	must(t, s.WriteFile("large", make([]byte, 64<<10)))
	ask := func(process *exec.Cmd) *harness.Client {
		must(t, process.Start())
		c := client(t, harness.Shape{Depth: 2, MsgSize: 512})
		c.PID = int32(process.Process.Pid)
		must(t, c.Request(t.Context(), s.Queue, "large"))
		_, err := c.Next(t.Context())
		must(t, err)
		process.Process.Kill()
		process.Wait()
		return c
	}
	stranger := exec.Command("sleep", "1000")
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1, Gid: 1}}
	c := ask(stranger)
	ask(exec.Command("sleep", "1000"))
	mustLog(t, s, "the client has ended") // the second one: it would have noticed the first one before
	if e, err := c.Finish(t.Context(), "large"); err != nil || e.Last().Kind != wire.End {
		t.Error(e.Summary(), err)
	}
}

// Only lines caused by clients are limited.
func TestAFloodedLogHasTheServersOwnLines(t *testing.T) {
	s := start(t, place(t))
	flood(t, s, 20_000)
	mustServe(t, s)
	info, err := os.Stat(s.Log)
	must(t, err)
	if info.Size() > 4<<20 { // 1 MiB at once and 256 KiB a second
		t.Errorf("the log has %d bytes", info.Size())
	}
	must(t, s.Signal(unix.SIGHUP))
	mustLog(t, s, "SIGHUP: log reopened")
	flood(t, s, 1000)
	must(t, s.Signal(unix.SIGTERM))
	mustEnd(t, s)
	mustLog(t, s, "stopped")
}
