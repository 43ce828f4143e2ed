//go:build linux

package mq_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"daemonlab/lab/mq"

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

// registered reports whether this process is registered. A message that is announced ends the registration before its
// mq_send returns, so the answer needs no waiting.
func registered(t testing.TB, q *mq.Queue) bool {
	t.Helper()
	s, err := q.Status()
	must(t, err)
	if s.Registered() && s.NotifyPID != os.Getpid() {
		t.Fatalf("process %d is registered", s.NotifyPID)
	}
	return s.Registered()
}

func TestNotifyIsOnce(t *testing.T) {
	q := newQueue(t, 2, 16)
	events := register(t, q)
	if s, err := q.Status(); err != nil || s.Notify != mq.SigevThread || !registered(t, q) {
		t.Fatalf("%+v, %v", s, err)
	}
	must(t, q.TrySend(nil, 0))
	want(t, events, mq.Arrived)
	if registered(t, q) {
		t.Fatal("still registered")
	}
}

func TestNotifyOnAQueueWithMessagesIsSilentUntilItWasEmpty(t *testing.T) {
	q := newQueue(t, 3, 16)
	must(t, q.TrySend(nil, 0))
	events := register(t, q)
	must(t, q.TrySend(nil, 0))
	if !registered(t, q) {
		t.Fatal("a message to a queue that is not empty was announced")
	}
	buf := make([]byte, 16)
	must(t, err2(q.TryReceive(buf)), err2(q.TryReceive(buf)), q.TrySend(nil, 0))
	want(t, events, mq.Arrived)
}

func TestOneRegistrationAQueue(t *testing.T) {
	q := newQueue(t, 1, 16)
	events := register(t, q)
	before := mq.Pending()
	err := q.Notify(func(mq.Event) { t.Error("called for a registration that failed") })
	wantError(t, err, unix.EBUSY)
	if text := "queue " + q.Name() + ": notify: this process is registered already"; err.Error() != text {
		t.Errorf("%q is not %q", err, text)
	}
	wantError(t, q.NotifyNone(), unix.EBUSY)
	if mq.Pending() != before {
		t.Error("the failed call left something behind")
	}
	must(t, q.TrySend(nil, 0))
	want(t, events, mq.Arrived)
}

func TestOtherProcessRegistered(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, q.NotifyNone())
	perform(t, actor("meet a registration", q.Name(), fmt.Sprint(os.Getpid())))
	if !registered(t, q) { // its Unnotify and Close are not ours
		t.Fatal("another process removed the registration")
	}
}

func init() {
	parts["meet a registration"] = func(args []string) error {
		q, err := mq.Open(args[0], os.O_RDWR, 0, nil)
		if err != nil {
			return err
		}
		defer q.Close()
		err = q.Notify(func(mq.Event) {})
		if !isErrno(err, unix.EBUSY) || !strings.Contains(err.Error(), "process "+args[1]+" is") {
			return fmt.Errorf("notify: %w", err)
		}
		return q.Unnotify()
	}
}

func TestRemoved(t *testing.T) {
	q := newQueue(t, 1, 16)
	other, err := mq.Open(q.Name(), os.O_WRONLY, 0, nil)
	must(t, err)
	events := register(t, q)
	must(t, other.Unnotify())
	want(t, events, mq.Removed)
	must(t, q.Unnotify()) // nothing to remove is no error

	events = register(t, q)
	must(t, other.Close()) // any descriptor of the queue
	want(t, events, mq.Removed)

	events = register(t, q)
	must(t, q.Close())
	want(t, events, mq.Removed)
}

func TestNotifyErrors(t *testing.T) {
	q := newQueue(t, 1, 16)
	wantError(t, q.Notify(nil), unix.EINVAL)
	wantError(t, q.NotifySignal(65, 0), unix.EINVAL)
	must(t, q.NotifySignal(0, 0)) // takes the place and sends nothing
	if !registered(t, q) {
		t.Fatal("signal 0 did not register")
	}
}

func TestNotifyNone(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, q.NotifyNone())
	if s, err := q.Status(); err != nil || s.Notify != mq.SigevNone || !registered(t, q) {
		t.Fatalf("%+v, %v", s, err)
	}
	must(t, q.TrySend(nil, 0))
	if registered(t, q) {
		t.Fatal("the message did not use it up")
	}
}

func TestNotifySignal(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGUSR1)
	defer signal.Stop(caught)
	q := newQueue(t, 1, 16)
	must(t, q.NotifySignal(unix.SIGUSR1, 42))
	s, err := q.Status()
	if err != nil || s.Notify != mq.SigevSignal || s.Signo != int(unix.SIGUSR1) || !registered(t, q) {
		t.Fatalf("%+v, %v", s, err)
	}
	must(t, q.TrySend(nil, 0))
	next(t, caught)
}

func TestBlockingNotifies(t *testing.T) {
	b := newBlocking(t, newQueue(t, 1, 16))
	events := register(t, b)
	must(t, b.Send(nil, 0))
	want(t, events, mq.Arrived)
}

// What a handler does holds up neither another handler nor itself.
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
		waiting := receive(q, context.Background()) // so that it has an os.File, which is closed when it is collected
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
	eventually(t, "the forgotten queue is collected", func() bool {
		runtime.GC()
		return descriptorsOf(b.Name()) == 2
	})
}

func descriptorsOf(name string) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	n := 0
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && target == name {
			n++
		}
	}
	return n
}

// mq_notify sleeps when the socket's receive buffer is full, which is after 256 registrations.
func TestManyRegistrations(t *testing.T) { alone(t, "arm 400 queues") }

func init() {
	parts["arm 400 queues"] = func([]string) error {
		if err := os.WriteFile("/proc/sys/fs/mqueue/queues_max", []byte("500"), 0); err != nil {
			return err
		}
		if err := armMany(400); err != nil {
			return err
		}
		if n := mq.Sockets(); n < 2 {
			return fmt.Errorf("%d sockets", n)
		}
		return nil
	}
}

// armMany has n registrations at once, then ends one half by a message and the other by Close.
func armMany(n int) error {
	events := make(chan mq.Event, n)
	var queues []*mq.Queue
	defer func() {
		for _, q := range queues {
			q.Close()
		}
	}()
	for range n {
		name := newName()
		q, err := create(name, &mq.Attr{MaxMsg: 1, MsgSize: 1})
		if err != nil {
			return err
		}
		queues = append(queues, q)
		if err := errors.Join(mq.Unlink(name), q.Notify(func(ev mq.Event) { events <- ev })); err != nil {
			return err
		}
	}
	for i, q := range queues {
		if i%2 == 0 {
			q.TrySend(nil, 0)
		}
		q.Close()
	}
	count := make(map[mq.Event]int)
	for range n {
		count[<-events]++
	}
	if count[mq.Arrived] != n/2 || count[mq.Removed] != n/2 {
		return fmt.Errorf("of %d registrations: %v", n, count)
	}
	return nil
}

// Four senders, no pause, and a handler that registers again before it drains: everything is received once.
func TestRearmThenDrainLosesNothing(t *testing.T) {
	const senders, each = 4, 250
	q := newQueue(t, 3, 16)
	var mu sync.Mutex
	seen := make(map[string]int)
	all := make(chan bool)
	var handle func(mq.Event)
	handle = func(ev mq.Event) {
		if ev == mq.Removed {
			return
		}
		if err := q.Notify(handle); err != nil && !isErrno(err, unix.EBUSY) {
			t.Error(err)
		}
		buf := make([]byte, 16)
		for {
			n, _, err := q.TryReceive(buf)
			if err != nil {
				return
			}
			mu.Lock()
			seen[string(buf[:n])]++
			if len(seen) == senders*each {
				close(all)
			}
			mu.Unlock()
		}
	}
	must(t, q.Notify(handle))
	for s := range senders {
		go func() {
			for i := range each {
				if err := q.Send(t.Context(), fmt.Appendf(nil, "%d %d", s, i), 0); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	next(t, all)
	for m, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", m, n)
		}
	}
}

// Whatever happens to a registration, its function is called once.
func TestEveryRegistrationEndsOnce(t *testing.T) {
	q := newQueue(t, 1, 16)
	sockets := mq.Sockets()
	var succeeded, told atomic.Int64
	calls := []func() error{
		func() error {
			var once atomic.Bool
			err := q.Notify(func(mq.Event) {
				if once.Swap(true) {
					t.Error("called twice")
				}
				told.Add(1)
			})
			if err == nil {
				succeeded.Add(1)
			}
			return err
		},
		q.Unnotify,
		func() error { return q.TrySend(nil, 0) },
		func() error { return err2(q.TryReceive(make([]byte, 16))) },
	}
	var group sync.WaitGroup
	for _, call := range append(calls, calls...) {
		group.Go(func() {
			for succeeded.Load() < 300 {
				if err := call(); err != nil && !isErrno(err, unix.EBUSY) && !isErrno(err, unix.EAGAIN) {
					t.Error(err)
				}
				runtime.Gosched()
			}
		})
	}
	group.Wait()
	must(t, q.Close())
	eventually(t, "every function was called", func() bool { return told.Load() == succeeded.Load() })
	if mq.Sockets() != sockets {
		t.Fatalf("%d sockets, before %d", mq.Sockets(), sockets)
	}
}
