//go:build linux

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

func TestCloseEndsWaitingReceivers(t *testing.T) {
	q := newQueue(t, 1, 16)
	var done []<-chan error
	for i := range 6 {
		ctx := context.Background()
		if i%2 == 0 {
			ctx = t.Context()
		}
		done = append(done, receive(q, ctx))
	}
	parked(t, len(done))
	must(t, q.Close())
	for _, d := range done {
		wantError(t, next(t, d), os.ErrClosed)
	}
}

func TestCloseEndsWaitingSenders(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, q.TrySend(nil, 0))
	done := make(chan error)
	for range 6 {
		go func() { done <- q.Send(t.Context(), nil, 0) }()
	}
	parked(t, 6)
	must(t, q.Close())
	for range 6 {
		wantError(t, next(t, done), os.ErrClosed)
	}
}

func TestEveryCallAfterClose(t *testing.T) {
	q := newQueue(t, 1, 16)
	b := newBlocking(t, q)
	must(t, q.Close(), b.Close())
	nothing := func(mq.Event) {}
	_, _, received := q.Receive(t.Context(), nil)
	_, _, tried := q.TryReceive(nil)
	_, _, slept := b.Receive(nil)
	_, attr := q.Attr()
	_, set := b.SetAttr(mq.Attr{})
	_, status := q.Status()
	_, _, owner := q.Owner()
	for _, err := range []error{
		q.Close(), b.Close(), q.Send(t.Context(), nil, 0), q.TrySend(nil, 0), b.Send(nil, 0), received, tried, slept, attr,
		set, status, owner, q.Chmod(0), q.Notify(nothing), b.NotifyNone(), b.NotifySignal(unix.SIGUSR1, 0), q.Unnotify(), q.SetDeadline(time.Time{}),
		q.Control(func(uintptr) {}),
	} {
		wantError(t, err, os.ErrClosed)
	}
}

// Senders, receivers, registrations and two closers, begun in no order.
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
			func() error { _, _, err := q.Receive(ctx, make([]byte, 16)); return err },
			func() error { _, _, err := q.Receive(context.Background(), make([]byte, 16)); return err },
			func() error { return q.TrySend(nil, 0) },
			func() error { _, err := q.Status(); return err },
			register, register, q.Unnotify,
		}
		var group sync.WaitGroup
		start := func(call func() error) {
			group.Go(func() {
				for {
					if err := call(); errors.Is(err, os.ErrClosed) || errors.Is(err, context.Canceled) {
						return
					}
					runtime.Gosched()
				}
			})
		}
		r.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
		for _, call := range calls {
			start(call)
		}
		if r.IntN(2) == 0 {
			cancel()
		}
		<-time.After(time.Duration(r.IntN(300)) * time.Microsecond) // any moment, not a synchronization
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
