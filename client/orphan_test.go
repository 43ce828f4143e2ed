package main_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

// A client is given room for one queue, which another has. What becomes of that one?
func TestOrphans(t *testing.T) {
	t.Parallel()
	if !inNamespaces(t) {
		return
	}
	// Root finds orphans without a mount, as this user of a namespace is.
	t.Run("unmounted", testOrphans)
	t.Run("mounted", func(t *testing.T) {
		mountQueues(t)
		testOrphans(t)
		t.Run("without privileges", testUnprivileged)
	})
	t.Run("cannot be listed", testCannotBeListed)
}

const orphan = "/mqfile-%d-0123456789abcdef01234567.locked"

func testOrphans(t *testing.T) {
	for _, c := range []struct {
		what   string
		make   func(t *testing.T, s *server) string // returns the name
		orphan bool
	}{
		{"a client killed before its first response", killed, true},
		{"a name with the PID of a living process", func(t *testing.T, s *server) string {
			return plant(t, fmt.Sprintf(orphan, os.Getpid()))
		}, true},
		{"a client that waits", func(t *testing.T, s *server) string {
			return s.hungry(s.command("PATH")).request.Reply
		}, false},
		{"a client of another PID namespace", func(t *testing.T, s *server) string {
			c := s.command("PATH")
			c.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
			e := s.hungry(c)
			if e.request.PID != 1 {
				t.Errorf("PID %d in a new namespace", e.request.PID)
			}
			return e.request.Reply
		}, false},
		{"a stopped client that has a response", func(t *testing.T, s *server) string {
			c := s.command("PATH")
			e := s.hungry(c)
			c.stop()
			e.send(wire.Info, wire.AppendInfo(nil, 1))
			return e.request.Reply
		}, false},
		{"a queue of another program", func(t *testing.T, s *server) string {
			return plant(t, "/mqfile-1-0123456789abcdef01234567")
		}, false},
		{"another user's queue", func(t *testing.T, s *server) string {
			name := plant(t, fmt.Sprintf(orphan, 1))
			chown(t, name, 65534)
			return name
		}, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newServer(t)
			limitQueues(t, mq.Cost(1, wire.RequestSize)+mq.Cost(1, wire.MinMsgSize))
			name := c.make(t, s)
			t.Cleanup(func() { mq.Unlink(name) })
			if c.orphan {
				s.hungry(s.command("PATH")).serve([]byte("x"))
				gone(t, name)
				return
			}
			s.command("--wait", "0", "PATH").run().expectPart(t, 1, "no room for 1 x 256 bytes")
			if !exists(t, name) {
				t.Error("its queue was removed")
			}
		})
	}
}

// hungry starts a client and takes its request.
func (s *server) hungry(c *client) *exchange {
	s.t.Helper()
	c.start()
	return s.request()
}

// stop returns when all threads of the client stand still.
func (c *client) stop() {
	c.t.Helper()
	c.signal(unix.SIGSTOP)
	var status unix.WaitStatus
	if _, err := unix.Wait4(c.cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		c.t.Fatalf("a client that was stopped: %v, %#x", err, status)
	}
}

func killed(t *testing.T, s *server) string {
	c := s.command("PATH")
	e := s.hungry(c)
	e.reply.Close()
	c.signal(unix.SIGKILL)
	c.wait()
	if !exists(t, e.request.Reply) {
		t.Fatal("a killed client left no queue")
	}
	return e.request.Reply
}

// plant makes a queue that nobody has open.
func plant(t *testing.T, name string) string {
	t.Helper()
	q, err := mq.Open(name, os.O_RDONLY|os.O_CREATE|os.O_EXCL, wire.QueueMode, &mq.Attr{MaxMsg: 1, MsgSize: wire.MinMsgSize})
	if err != nil {
		t.Fatal(err)
	}
	q.Close()
	return name
}

func chown(t *testing.T, name string, uid int) {
	t.Helper()
	q, err := mq.Open(name, os.O_RDONLY, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	var chownErr error
	err = q.Control(func(fd uintptr) { chownErr = unix.Fchown(int(fd), uid, -1) })
	if errors.Is(chownErr, unix.EINVAL) {
		t.Skip("this namespace has one user: only root may map more")
	}
	if err = errors.Join(err, chownErr); err != nil {
		t.Fatal(err)
	}
}

func testUnprivileged(t *testing.T) {
	s := newServer(t)
	limitQueues(t, mq.Cost(1, wire.RequestSize)+mq.Cost(1, wire.MinMsgSize))
	name := killed(t, s)
	s.hungry(s.command("PATH").unprivileged()).serve([]byte("x"))
	gone(t, name)
}

// Where queues cannot be listed an orphan stays, and a client does as if it were alive.
func testCannotBeListed(t *testing.T) {
	s := newServer(t)
	limitQueues(t, mq.Cost(1, wire.RequestSize)+mq.Cost(1, wire.MinMsgSize))
	name := killed(t, s)
	defer mq.Unlink(name)
	s.command("--wait", "0", "PATH").unprivileged().run().expectPart(t, 1, "no room for 1 x 256 bytes")
	if !exists(t, name) {
		t.Error("the queue was found")
	}
}
