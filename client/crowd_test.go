package main_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

// These tests are not parallel: they need all the room that their user has.

// Ninety clients of one user transfer at once within the default limits, and those that come first leave room for
// decent queues.
func TestNinetyAtOnce(t *testing.T) {
	if !inNamespaces(t) {
		return
	}
	s := newServer(t)
	limitQueues(t, 819_200)
	if !fits(t, 8, 10, 10, 10, 10, 10, 10, 10, 10, 10) { // all but 4 KB of the limit, and the server's queue
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
		shape := exchanges[n].shape()
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
	if shape := e.shape(); shape.MaxMsg != 10 || shape.MsgSize != 8192 {
		t.Errorf("alone again, a client has a queue of %d x %d bytes", shape.MaxMsg, shape.MsgSize)
	}
	c.expectServed(e, file)
}

// fits reports whether there is room for queues of so many messages of 8192 bytes.
func fits(t *testing.T, depths ...int) bool {
	t.Helper()
	if len(depths) == 0 {
		return true
	}
	name := fmt.Sprintf("/mqfile-test-%d-room-%d", os.Getpid(), len(depths))
	q, err := mq.Open(name, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: depths[0], MsgSize: 8192})
	if errors.Is(err, unix.EMFILE) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
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

// serveForEver is a server that knows one file.
func (s *server) serveForEver(file []byte) {
	buf := make([]byte, wire.RequestSize)
	for {
		n, _, err := s.q.Receive(s.t.Context(), buf)
		if err != nil {
			return
		}
		request, err := wire.ParseRequest(buf[:n])
		if err != nil {
			s.t.Error(err)
			return
		}
		reply, err := mq.Open(request.Reply, os.O_WRONLY, 0, nil)
		if err != nil {
			s.t.Error(err)
			return
		}
		go (&exchange{s.t, request, reply}).serve(file)
	}
}

// Whoever waits for room says so once, and is served when there is some.
func TestWaitForRoom(t *testing.T) {
	t.Parallel()
	if !inNamespaces(t) {
		return
	}
	t.Run("until there is some", func(t *testing.T) {
		s, other := newServer(t), newServer(t)
		c, stderr := s.refused(t, "30")
		stderr.expect(waiting("30s"))
		mq.Unlink(other.name)
		other.q.Close()
		s.request().serve([]byte("x"))
		c.wait().expect(t, 0, "")
		stderr.expect(received(1, 1))
	})
	t.Run("until a signal", func(t *testing.T) {
		s, _ := newServer(t), newServer(t)
		c, stderr := s.refused(t, "30")
		stderr.expect(waiting("30s"))
		c.signal(unix.SIGINT)
		c.wait().expect(t, 130, "")
	})
	t.Run("not at all", func(t *testing.T) {
		s, _ := newServer(t), newServer(t)
		c, stderr := s.refused(t, "0")
		stderr.expect(noRoomLeft)
		c.wait().expect(t, 1, "")
	})
	t.Run("until its time is up", func(t *testing.T) {
		s, _ := newServer(t), newServer(t)
		c, stderr := s.refused(t, "0.1")
		stderr.expect(waiting("100ms"))
		c.wait().expect(t, 1, "")
		stderr.expect(noRoomLeft)
	})
}

const (
	noRoom = "no room for 1 x 256 bytes, which cost 352 of the 8904 bytes that all queues of user 0 may have" +
		" (RLIMIT_MSGQUEUE)"

	noRoomLeft = "mqfile: no reply queue: QUEUE: open: " + noRoom +
		"; ls /dev/mqueue shows the queues, rm there removes one that a killed client left\n"
)

func waiting(limit string) string {
	return "mqfile: waiting up to " + limit + " for room: QUEUE: open: " + noRoom + "\n"
}

// refused starts a client when two servers' queues take all the room.
func (s *server) refused(t *testing.T, wait string) (*client, lines) {
	limitQueues(t, 2*mq.Cost(1, wire.RequestSize))
	c := s.command("--wait", wait, "PATH")
	stderr := c.pipeStderr()
	return c.start(), stderr
}
