//go:build linux

package mq_test

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

func receive(q *mq.Queue, ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, _, err := q.Receive(ctx, make([]byte, 16))
		done <- err
	}()
	return done
}

func TestContextEndsItsOwnCallerOnly(t *testing.T) {
	for _, first := range []string{"the one whose turn it is", "the one who waits for a turn"} {
		t.Run(first, func(t *testing.T) {
			q := newQueue(t, 1, 16)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			contexts := []context.Context{ctx, t.Context()}
			if first != "the one whose turn it is" {
				contexts[0], contexts[1] = contexts[1], contexts[0]
			}
			done := make(map[context.Context]<-chan error)
			for i, c := range contexts {
				done[c] = receive(q, c)
				parked(t, i+1)
			}
			cancel()
			wantError(t, next(t, done[ctx]), context.Canceled)
			parked(t, 1)
			must(t, q.Send(t.Context(), []byte("for the other"), 0), next(t, done[t.Context()]))
		})
	}
}

func TestDeadline(t *testing.T) {
	q := newQueue(t, 1, 16)
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, _, err := q.Receive(ctx, make([]byte, 16))
	wantError(t, err, context.DeadlineExceeded)
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
	_, _, err := q.Receive(ctx, make([]byte, 16))
	wantError(t, err, context.Canceled)
}

// A cancellation that races with a message must not reach into the next call.
func TestNoDeadlineIsLeftForTheNext(t *testing.T) {
	q := newQueue(t, 1, 16)
	buf := make([]byte, 16)
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
		_, _, err := q.TryReceive(buf)
		wantError(t, err, unix.EAGAIN)
	}
}

func TestOneContextForManyWaits(t *testing.T) {
	q := newQueue(t, 1, 16)
	ctx, cancel := context.WithCancel(t.Context())
	type key struct{}
	child := context.WithValue(ctx, key{}, "shares Done with its parent")
	for _, c := range []context.Context{ctx, child, ctx, context.Background(), child} {
		done := receive(q, c)
		parked(t, 1)
		must(t, q.Send(ctx, []byte("x"), 0), next(t, done))
	}
	done := receive(q, child)
	parked(t, 1)
	cancel()
	wantError(t, next(t, done), context.Canceled)
	done = receive(q, context.Background())
	parked(t, 1)
	must(t, q.Send(t.Context(), []byte("x"), 0), next(t, done))
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
		for _, c := range []context.Context{ctx, context.Background()} {
			done := receive(q, c)
			parked(t, 1)
			if c != ctx {
				cancel()
			}
			must(t, q.Send(t.Context(), nil, 0), next(t, done))
		}
		cancel()
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
	done := receive(q, ctx) // from now on the context is watched
	parked(t, 1)
	must(t, q.Send(t.Context(), nil, 0), next(t, done))
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
		done = receive(q, plainContext{ctx})
		parked(t, 1)
		must(t, q.Send(t.Context(), nil, 0), next(t, done))
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
		wantText(t, err, "queue "+q.Name()+": receive: ", "stayed empty until the deadline")
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
