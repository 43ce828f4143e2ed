package mq_test

import (
	"context"
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

// exchange makes a receiver wait with ctx, and sends it a message.
func exchange(t testing.TB, q *mq.Queue, ctx context.Context) {
	t.Helper()
	done := receive(q, ctx)
	parked(t, 1)
	must(t, q.Send(t.Context(), nil, 0), next(t, done))
}

// A message too long for a RawSyscall takes another path.
func TestLongBuffers(t *testing.T) {
	q, huge := newQueue(t, 1, 100), make([]byte, 1<<20)
	must(t, q.TrySend([]byte("x"), 7))
	if n, prio, err := q.TryReceive(huge); err != nil || n != 1 || prio != 7 {
		t.Fatalf("got %d bytes of priority %d, %v", n, prio, err)
	}
	wantError(t, q.TrySend(huge, 0), unix.EMSGSIZE)
	wantError(t, err2(q.TryReceive(huge)), unix.EAGAIN)
}

func TestTriesNeverSleepWithoutONonblock(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, q.Control(func(fd uintptr) { must(t, unix.SetNonblock(int(fd), false)) })) // anybody who shares it may do so
	b := newBlocking(t, q)
	buf := make([]byte, 16)
	wantError(t, err2(q.TryReceive(buf)), unix.EAGAIN)
	wantError(t, err2(b.TryReceive(buf)), unix.EAGAIN)
	must(t, q.TrySend([]byte("x"), 3))
	wantError(t, q.TrySend([]byte("y"), 3), unix.EAGAIN)
	wantError(t, b.TrySend([]byte("y"), 3), unix.EAGAIN)

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	wantError(t, q.Send(ctx, []byte("y"), 0), context.DeadlineExceeded)
	if n, prio, err := b.TryReceive(buf); err != nil || string(buf[:n]) != "x" || prio != 3 {
		t.Errorf("received %q, priority %d, %v", buf[:n], prio, err)
	}
}

// The race detector fails this test unless it knows that messages and notifications order memory accesses.
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
	for first := range 2 { // the one that waits in the poller while the other queues
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

func TestEndedContextEndsTheCallAtOnce(t *testing.T) {
	q := newQueue(t, 1, 16)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, q.Send(ctx, nil, 0), context.Canceled)
	must(t, q.TrySend(nil, 0))
	wantError(t, err2(q.Receive(ctx, make([]byte, 16))), context.Canceled)
}

// A cancellation that races with a message must not affect the next call.
func TestCancellationDoesNotAffectTheNextCall(t *testing.T) {
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

func TestEarlierCallersContextEndsNobody(t *testing.T) {
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
