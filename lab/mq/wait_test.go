//go:build linux

package mq_test

import (
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

func receive(q *mq.Queue, ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() { done <- err2(q.Receive(ctx, make([]byte, 16))) }()
	return done
}

// exchange has a receiver wait with the context, and sends it what it waits for.
func exchange(t testing.TB, q *mq.Queue, ctx context.Context) {
	t.Helper()
	done := receive(q, ctx)
	parked(t, 1)
	must(t, q.Send(t.Context(), nil, 0), next(t, done))
}

// A message longer than a RawSyscall may copy takes another way.
func TestLongBuffers(t *testing.T) {
	q, huge := newQueue(t, 1, 100), make([]byte, 1<<20)
	must(t, q.TrySend([]byte("x"), 7))
	if n, prio, err := q.TryReceive(huge); err != nil || n != 1 || prio != 7 {
		t.Fatalf("got %d bytes of priority %d, %v", n, prio, err)
	}
	wantError(t, q.TrySend(huge, 0), unix.EMSGSIZE)
	wantError(t, err2(q.TryReceive(huge)), unix.EAGAIN)
}

func TestTryNeverSleepsWhoeverClearsTheFlag(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, q.Control(func(fd uintptr) { must(t, unix.SetNonblock(int(fd), false)) }))
	wantError(t, err2(q.TryReceive(make([]byte, 16))), unix.EAGAIN)
	must(t, q.TrySend([]byte("x"), 0))
	wantError(t, q.TrySend([]byte("x"), 0), unix.EAGAIN)

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	wantError(t, q.Send(ctx, []byte("x"), 0), context.DeadlineExceeded)
}

// Under the race detector this fails unless it is told of the order that messages and notifications make.
func TestMessagesOrderMemory(t *testing.T) {
	q := newQueue(t, 1, 16)
	shared := 0
	go func() {
		shared = 1
		q.TrySend(nil, 0)
	}()
	must(t, err2(q.Receive(t.Context(), make([]byte, 16))))
	shared++

	done := make(chan bool)
	must(t, q.Notify(func(mq.Event) {
		shared++
		close(done)
	}))
	shared++
	must(t, q.TrySend(nil, 0))
	next(t, done)
	if shared != 4 {
		t.Fatal(shared)
	}
}

func TestContextEndsItsOwnCallerOnly(t *testing.T) {
	for first := range 2 { // which has its turn, while the other waits for his
		q := newQueue(t, 1, 16)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		contexts := [2]context.Context{ctx, t.Context()}
		var done [2]<-chan error
		for i := range 2 {
			done[first^i] = receive(q, contexts[first^i])
			parked(t, i+1)
		}
		cancel()
		wantError(t, next(t, done[0]), context.Canceled)
		parked(t, 1)
		must(t, q.Send(t.Context(), []byte("for the other"), 0), next(t, done[1]))
	}
}

func TestDeadline(t *testing.T) {
	q, begin := newQueue(t, 1, 16), time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	wantError(t, err2(q.Receive(ctx, make([]byte, 16))), context.DeadlineExceeded)
	if waited := time.Since(begin); waited < 10*time.Millisecond {
		t.Fatalf("waited %v", waited)
	}
}

func TestEndedContextEndsTheCallAtOnce(t *testing.T) {
	q := newQueue(t, 1, 16)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, q.Send(ctx, nil, 0), context.Canceled)
	must(t, q.TrySend(nil, 0))
	wantError(t, err2(q.Receive(ctx, make([]byte, 16))), context.Canceled)
}

// A cancellation that races with a message must not reach into the next call.
func TestNoDeadlineIsLeftForTheNext(t *testing.T) {
	q := newQueue(t, 1, 16)
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		first := receive(q, ctx)
		second := receive(q, t.Context())
		go cancel()
		must(t, q.Send(t.Context(), []byte("one"), 0))
		if err := next(t, first); err != nil {
			wantError(t, err, context.Canceled)
		} else {
			must(t, q.Send(t.Context(), []byte("two"), 0))
		}
		must(t, next(t, second))
		wantError(t, err2(q.TryReceive(make([]byte, 16))), unix.EAGAIN)
	}
}

func TestOneContextForManyWaits(t *testing.T) {
	q := newQueue(t, 1, 16)
	ctx, cancel := context.WithCancel(t.Context())
	type key struct{}
	child := context.WithValue(ctx, key{}, "shares Done with its parent")
	for _, c := range []context.Context{ctx, child, ctx, context.Background(), child} {
		exchange(t, q, c)
	}
	done := receive(q, child)
	parked(t, 1)
	cancel()
	wantError(t, next(t, done), context.Canceled)
	exchange(t, q, context.Background())
}

func TestContextEndsAllItsCallers(t *testing.T) {
	q := newQueue(t, 1, 16)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		first, second := receive(q, ctx), receive(q, ctx)
		parked(t, 2)
		cancel()
		wantError(t, next(t, first), context.Canceled)
		wantError(t, next(t, second), context.Canceled)
	}
}

func TestContextOfAnEarlierCallerEndsNobody(t *testing.T) {
	q := newQueue(t, 1, 16)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		exchange(t, q, ctx)
		done := receive(q, context.Background())
		parked(t, 1)
		cancel()
		must(t, q.Send(t.Context(), nil, 0), next(t, done))
	}
}

// plainContext hides from package context that it is one of its own.
type plainContext struct{ inner context.Context }

func (c plainContext) Deadline() (time.Time, bool) { return c.inner.Deadline() }
func (c plainContext) Done() <-chan struct{}       { return c.inner.Done() }
func (c plainContext) Err() error                  { return c.inner.Err() }
func (c plainContext) Value(any) any               { return nil }

// lateContext ends right after it was asked for the first time whether it has.
type lateContext struct {
	context.Context
	asked bool
}

func (c *lateContext) Err() error {
	if !c.asked {
		c.asked = true
		return nil
	}
	return c.Context.Err()
}

func TestContextThatEndsBeforeTheTurnBegins(t *testing.T) {
	q := newQueue(t, 1, 16)
	ctx, cancel := context.WithCancel(t.Context())
	exchange(t, q, ctx) // from now on the context is watched
	cancel()
	for range 20 { // it is left to chance whether the call sees first that it has its turn or that the context ended
		wantError(t, next(t, receive(q, &lateContext{Context: ctx})), context.Canceled)
	}
}

func TestForeignContext(t *testing.T) {
	q := newQueue(t, 1, 16)
	ctx, cancel := context.WithCancel(t.Context())
	done := receive(q, plainContext{ctx})
	parked(t, 1)
	cancel()
	wantError(t, next(t, done), context.Canceled)

	before := runtime.NumGoroutine()
	for range 3 { // each context watched in the place of the one before
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		exchange(t, q, plainContext{ctx})
	}
	must(t, q.Close())
	eventually(t, "nothing watches the contexts", func() bool { return runtime.NumGoroutine() <= before })
}

func TestDeadlineOfTheQueueEndsWaitsAndNothingElse(t *testing.T) {
	q := newQueue(t, 1, 16)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, ctx := range []context.Context{context.Background(), ctx} {
		must(t, q.SetReceiveDeadline(time.Unix(1, 0)))
		err := next(t, receive(q, ctx))
		wantError(t, err, os.ErrDeadlineExceeded)
		if want := "stayed empty until the deadline"; !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
		must(t, q.Send(ctx, nil, 0)) // that is the other deadline
		must(t, next(t, receive(q, ctx)))

		must(t, q.SetReceiveDeadline(time.Time{}))
		done := receive(q, ctx)
		parked(t, 1)
		must(t, q.SetDeadline(time.Now())) // also one that waits already
		wantError(t, next(t, done), os.ErrDeadlineExceeded)
		must(t, q.Send(ctx, nil, 0))
		wantError(t, q.Send(ctx, nil, 0), os.ErrDeadlineExceeded)
		must(t, q.SetSendDeadline(time.Time{}), err2(q.TryReceive(make([]byte, 16))))
	}
	must(t, q.Close())
	wantError(t, q.SetDeadline(time.Time{}), os.ErrClosed)
}

func TestContextThatEndsLeavesTheDeadlineOfTheQueue(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, q.SetReceiveDeadline(time.Now().Add(time.Hour)))
	ctx, cancel := context.WithCancel(t.Context())
	done := receive(q, ctx)
	parked(t, 1)
	cancel()
	wantError(t, next(t, done), context.Canceled)
	done = receive(q, t.Context())
	parked(t, 1)
	must(t, q.SetReceiveDeadline(time.Now()))
	wantError(t, next(t, done), os.ErrDeadlineExceeded)
}
