package mq_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

func TestCloseEndsWaits(t *testing.T) {
	q, full := newQueue(t, 1, 16), newQueue(t, 1, 16)
	must(t, full.TrySend(nil, 0))
	done, contexts := make(chan error), []context.Context{context.Background(), t.Context()}
	for i := range 6 {
		go func() { done <- err2(q.Receive(contexts[i%2], make([]byte, 16))) }()
		go func() { done <- full.Send(contexts[i%2], nil, 0) }()
	}
	parked(t, 12)
	must(t, q.Close(), full.Close())
	for range 12 {
		wantError(t, next(t, done), os.ErrClosed)
	}
}

func TestEveryCallAfterClose(t *testing.T) {
	q := newQueue(t, 1, 16)
	b := newBlocking(t, q)
	must(t, q.Close(), b.Close())
	_, attr := q.Attr()
	_, set := b.SetAttr(mq.Attr{})
	_, status := q.Status()
	_, stat := q.Stat()
	for _, err := range []error{
		q.Close(), q.Send(t.Context(), nil, 0), q.TrySend(nil, 0), err2(q.Receive(t.Context(), nil)),
		err2(q.TryReceive(nil)), b.Close(), b.Send(nil, 0), err2(b.Receive(nil)), attr, set, status, stat, q.Chmod(0),
		q.Notify(func(mq.Event) {}), b.NotifyNone(), b.NotifySignal(unix.SIGUSR1, 0), q.Unnotify(),
		q.Control(func(uintptr) {}),
	} {
		wantError(t, err, os.ErrClosed)
	}
}

// Senders, receivers, registrations and two closers, started in no particular order.
func TestCloseAtAnyMoment(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		q := newQueue(t, 1, 16)
		ctx, cancel := context.WithCancel(t.Context())
		var registered, told, closed atomic.Int64
		register := func() error {
			err := q.Notify(func(mq.Event) { told.Add(1) })
			if err == nil {
				registered.Add(1)
			}
			return err
		}
		calls := []func() error{
			func() error { return q.Send(ctx, []byte("x"), 0) },
			func() error { return q.Send(context.Background(), []byte("x"), 0) },
			func() error { return err2(q.Receive(ctx, make([]byte, 16))) },
			func() error { return err2(q.Receive(context.Background(), make([]byte, 16))) },
			func() error { return q.TrySend(nil, 0) },
			func() error { _, err := q.Status(); return err },
			register, register, q.Unnotify,
		}
		var group sync.WaitGroup
		r.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
		for _, call := range calls {
			group.Go(func() {
				for err := error(nil); !errors.Is(err, os.ErrClosed) && !errors.Is(err, context.Canceled); err = call() {
					runtime.Gosched()
				}
			})
		}
		if r.IntN(2) == 0 {
			cancel()
		}
		<-time.After(time.Duration(r.IntN(300)) * time.Microsecond) // a random moment, not synchronization
		for range 2 {
			group.Go(func() {
				if q.Close() == nil {
					closed.Add(1)
				}
			})
		}
		group.Wait()
		cancel()
		if closed.Load() != 1 {
			t.Fatalf("%d of 2 closed the queue", closed.Load())
		}
		eventually(t, "every registration is told its end", func() bool { return told.Load() == registered.Load() })
	}
}

// collected runs the garbage collector until yes returns true.
func collected(t testing.TB, what string, yes func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		runtime.GC()
		return yes()
	})
}

func TestForgottenQueueIsClosed(t *testing.T) {
	here := newQueue(t, 1, 16)
	for what, forget := range map[string]func(*mq.Queue, *mq.Blocking){
		"unused":   func(*mq.Queue, *mq.Blocking) {},
		"blocking": func(_ *mq.Queue, b *mq.Blocking) { must(t, b.Send(nil, 0), err2(b.Receive(make([]byte, 16)))) },
		"after a wait with a context": func(q *mq.Queue, _ *mq.Blocking) {
			ctx, cancel := context.WithCancel(t.Context())
			done := receive(q, ctx)
			parked(t, 1)
			cancel()
			wantError(t, next(t, done), context.Canceled)
		},
	} {
		q, err := mq.Open(here.Name(), os.O_RDWR, 0, nil)
		must(t, err)
		b, err := mq.OpenBlocking(here.Name(), os.O_RDWR, 0, nil)
		must(t, err)
		forget(q, b)
		collected(t, what, func() bool { return descriptors(here.Name()) == 1 })
	}
}

func TestQueueWithWaitersIsNotCollected(t *testing.T) {
	here := newQueue(t, 1, 16)
	b := newBlocking(t, here)
	q, err := mq.Open(here.Name(), os.O_RDWR, 0, nil)
	must(t, err)
	done := receive(q, context.Background())
	q = nil
	parked(t, 1)
	for range 3 {
		runtime.GC()
	}
	must(t, b.Send(nil, 0), next(t, done))
}
