package mq_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"daemonlab/lab/mq"
	"daemonlab/lab/parts"

	"golang.org/x/sys/unix"
)

func register(t testing.TB, q interface{ Notify(func(mq.Event)) error }) <-chan mq.Event {
	t.Helper()
	events := make(chan mq.Event, 1)
	must(t, q.Notify(func(ev mq.Event) { events <- ev }))
	return events
}

func want(t testing.TB, events <-chan mq.Event, ev mq.Event) {
	t.Helper()
	if got := next(t, events); got != ev {
		t.Fatalf("got %v, want %v", got, ev)
	}
}

// registered reports whether this process is registered. An announced message ends the registration before its mq_send
// returns, so no wait is needed.
func registered(t testing.TB, q *mq.Queue) bool {
	t.Helper()
	s, err := q.Status()
	must(t, err)
	if s.Registered() && s.NotifyPID != os.Getpid() {
		t.Fatalf("process %d is registered", s.NotifyPID)
	}
	return s.Registered()
}

func TestOtherProcessRegistered(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, q.NotifyNone())
	_, err := parts.Run("meet a registration", q.Name(), fmt.Sprint(os.Getpid()))
	must(t, err)
	if !registered(t, q) { // its Unnotify and Close are not ours
		t.Fatal("another process removed the registration")
	}
}

func init() {
	parts.Add("meet a registration", func(args []string) error {
		q, err := mq.Open(args[0], os.O_RDWR, 0, nil)
		if err != nil {
			return err
		}
		defer q.Close()
		err = q.Notify(func(mq.Event) {})
		if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "process "+args[1]+" is") {
			return fmt.Errorf("notify: %w", err)
		}
		return q.Unnotify()
	})
}

// A blocked handler delays no others, and may close its own queue.
func TestHandlersAreFree(t *testing.T) {
	q, other := newQueue(t, 1, 16), newQueue(t, 1, 16)
	release := make(chan bool)
	closed := make(chan error)
	must(t, q.Notify(func(mq.Event) {
		<-release
		closed <- q.Close()
	}))
	must(t, q.TrySend(nil, 0))
	events := register(t, other)
	must(t, other.TrySend(nil, 0))
	want(t, events, mq.Arrived)
	release <- true
	must(t, next(t, closed))

	ended := make(chan bool)
	must(t, other.Notify(func(mq.Event) {
		defer close(ended)
		runtime.Goexit()
	}))
	must(t, err2(other.TryReceive(make([]byte, 16))), other.TrySend(nil, 0))
	next(t, ended)
	must(t, err2(other.TryReceive(make([]byte, 16))))
	events = register(t, other)
	must(t, other.TrySend(nil, 0))
	want(t, events, mq.Arrived)
}

func TestRegisteredQueueIsNotCollected(t *testing.T) {
	b := newBlocking(t, newQueue(t, 1, 16))
	events := func() <-chan mq.Event {
		q, err := mq.Open(b.Name(), os.O_RDWR, 0, nil)
		must(t, err)
		waiting := receive(q, context.Background()) // gives it an os.File, which is closed when collected
		parked(t, 1)
		must(t, b.Send(nil, 0), next(t, waiting))
		events := make(chan mq.Event, 1)
		must(t, q.Notify(func(ev mq.Event) { events <- ev }))
		t.Cleanup(func() { mq.Unlink(b.Name()) })
		return events
	}()
	for range 3 {
		runtime.GC()
	}
	must(t, b.Send(nil, 0))
	want(t, events, mq.Arrived)
	collected(t, "the forgotten queue", func() bool { return descriptors(b.Name()) == 2 })
}

// A registration gives back its share of the socket's buffer.
func TestManySuccessiveRegistrations(t *testing.T) {
	q, sockets := newQueue(t, 1, 16), mq.Sockets()
	for range 300 {
		events := register(t, q)
		must(t, q.Unnotify())
		want(t, events, mq.Removed)
	}
	if mq.Sockets() != sockets {
		t.Fatalf("%d sockets, before %d", mq.Sockets(), sockets)
	}
}
