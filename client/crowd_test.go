package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// These tests are not parallel: they need all of the user's RLIMIT_MSGQUEUE.

// Ninety clients of one user transfer at once within the default limits, and the early ones leave room for decent
// queues.
func TestNinetyAtOnce(t *testing.T) {
	if !inNamespaces(t) {
		return
	}
	s := newServer(t)
	limitQueues(t, 819_200)
	if !fits(t, 8, 10, 10, 10, 10, 10, 10, 10, 10, 10) { // the limit but for 4 KB and the server's queue
		t.Skip("other queues of this user leave no room for ninety clients: ls /dev/mqueue")
	}
	file := noise(20_000)
	var clients []*client
	var exchanges []*exchange
	began := time.Now()
	for n := range 90 {
		if took := time.Since(began); took > 8*time.Second {
			t.Skipf("%d clients took %v to start on this machine, and they wait 10 s for an answer", n, took)
		}
		clients = append(clients, s.fetch("PATH"))
		exchanges = append(exchanges, s.request())
		_, shape, err := harness.QueueStatus(exchanges[n].Request.Reply)
		must(t, err)
		for place, least := range map[int]mq.Attr{
			0: {MaxMsg: 10, MsgSize: 8192}, 7: {MaxMsg: 4, MsgSize: 8192}, 12: {MaxMsg: 2, MsgSize: 8192},
			29: {MaxMsg: 2, MsgSize: 4096}, 54: {MaxMsg: 2, MsgSize: 2048}, 89: {MaxMsg: 2, MsgSize: 512},
		} {
			if n <= place && (shape.MaxMsg < least.MaxMsg || shape.MsgSize < least.MsgSize) {
				t.Errorf("client %d has a queue of %d x %d bytes, expected at least %d x %d", n+1, shape.MaxMsg,
					shape.MsgSize, least.MaxMsg, least.MsgSize)
			}
		}
	}
	for n, c := range clients {
		c.expectServed(exchanges[n], file)
	}
	c := s.fetch("PATH")
	e := s.request()
	e.expectShape(mq.Attr{MaxMsg: 10, MsgSize: 8192}) // it is alone again
	c.expectServed(e, file)
}

// fits reports whether there is room for queues of these depths, with messages of 8192 bytes.
func fits(t *testing.T, depths ...int) bool {
	t.Helper()
	if len(depths) == 0 {
		return true
	}
	name := harness.QueueName("room")
	q, err := mq.Open(name, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: depths[0], MsgSize: 8192})
	if errors.Is(err, unix.EMFILE) {
		return false
	}
	must(t, err)
	defer q.Close()
	defer mq.Unlink(name)
	return fits(t, depths[1:]...)
}

// A thousand clients, many more at a time than there is room for: each waits until it is served.
func TestThousandClients(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: a thousand processes")
	}
	if !inNamespaces(t) {
		return
	}
	s := newServer(t)
	limitQueues(t, mq.Cost(1, wire.RequestSize)+4*mq.Cost(1, wire.MinMsgSize))
	file := noise(1000)
	go s.serveForEver(file)
	crowd := 1000
	if raced { // each takes ten times as long
		crowd = 100
	}
	var waited atomic.Int64
	var running sync.WaitGroup
	slots := make(chan struct{}, 64)
	for range crowd {
		if slots <- struct{}{}; t.Failed() {
			break
		}
		running.Go(func() {
			defer func() { <-slots }()
			r := s.command("PATH").run()
			said := strings.Split(r.stderr, "\n")
			if r.code != 0 || r.stdout != string(file) {
				t.Errorf("exit status %d, %d bytes, stderr %q", r.code, len(r.stdout), r.stderr)
			}
			if strings.HasPrefix(said[0], "mqfile: waiting up to 30s for room: ") {
				waited.Add(1)
				said = said[1:]
			}
			if len(said) != 2 || !strings.HasPrefix(said[0], "Received 1000 bytes ") {
				t.Errorf("stderr %q", r.stderr)
			}
		})
	}
	running.Wait()
	if waited.Load() == 0 {
		t.Error("none had to wait for room")
	}
}

const (
	noRoom = "QUEUE: open: no room for 1 x 256 bytes, which cost 352 of the 8904 bytes that all queues of user 0 may have" +
		" (RLIMIT_MSGQUEUE)"

	noRoomLeft = "mqfile: no reply queue: " + noRoom +
		"; ls /dev/mqueue shows the queues, rm there removes one that a killed client left\n"
)

func waiting(limit string) string {
	return "mqfile: waiting up to " + limit + " for room: " + noRoom + "\n"
}

var replyQueue = regexp.MustCompile(`queue /mqfile-[^:]*`)

// A client that waits for room says so once, and is served when there is some.
func TestWaitForRoom(t *testing.T) {
	t.Parallel()
	if !inNamespaces(t) {
		return
	}
	for name, c := range map[string]struct {
		wait, says string
		meanwhile  func(c *client, s, other *server) // called once the client says that it waits
		code       int
		thenSays   string
	}{
		"until there is some": {"30", waiting("30s"), func(_ *client, s, other *server) {
			other.Close()
			s.request().serve([]byte("x"))
		}, 0, received(1, 1)},
		"until a signal":       {"30", waiting("30s"), func(c *client, _, _ *server) { c.signal(unix.SIGINT) }, 130, ""},
		"not at all":           {"0", "", nil, 1, noRoomLeft},
		"until its time is up": {"0.1", waiting("100ms"), nil, 1, noRoomLeft},
	} {
		t.Run(name, func(t *testing.T) {
			s, other := newServer(t), newServer(t) // whose queues take all the room
			limitQueues(t, 2*mq.Cost(1, wire.RequestSize))
			stderr := filepath.Join(t.TempDir(), "stderr")
			said := func() string {
				text, _ := os.ReadFile(stderr)
				return replyQueue.ReplaceAllString(string(text), "QUEUE")
			}
			running := s.command("--wait", c.wait, "PATH").under("exec 2>" + stderr).start()
			if c.meanwhile != nil {
				eventually(t, "it says that it waits", func() bool { return said() == c.says })
				c.meanwhile(running, s, other)
			}
			running.wait().expect(t, c.code, "")
			if got, want := said(), c.says+c.thenSays; got != want {
				t.Errorf("stderr %q, expected %q", got, want)
			}
		})
	}
}
