//go:build linux

package mq_test

import (
	"context"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

func collected(t testing.TB, what string, yes func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		runtime.GC()
		return yes()
	})
}

func TestEndedWaitKeepsNothingOfItsContext(t *testing.T) {
	type key struct{}
	q := newQueue(t, 1, 16)
	for _, parent := range []context.Context{t.Context(), plainContext{t.Context()}} {
		var gone atomic.Bool
		func() {
			value := new([1 << 20]byte)
			runtime.AddCleanup(value, func(int) { gone.Store(true) }, 0)
			ctx := context.WithValue(parent, key{}, value)
			done := receive(q, ctx)
			parked(t, 1)
			must(t, q.Send(ctx, nil, 0), next(t, done))
		}()
		collected(t, "the context's value is collected while the queue and the context's parent live", gone.Load)
	}
}

func TestForgottenQueueIsClosed(t *testing.T) {
	here := newQueue(t, 1, 16)
	for what, open := range map[string]func(){
		"unused": func() { mq.Open(here.Name(), os.O_RDWR, 0, nil) },
		"blocking": func() {
			b, err := mq.OpenBlocking(here.Name(), os.O_RDWR, 0, nil)
			must(t, err, b.Send(nil, 0), err2(b.Receive(make([]byte, 16))))
		},
		"after a wait with a context": func() {
			q, err := mq.Open(here.Name(), os.O_RDWR, 0, nil)
			must(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			done := receive(q, ctx)
			parked(t, 1)
			cancel()
			wantError(t, next(t, done), context.Canceled)
		},
		"from one way to wait to the other": func() {
			b, err := mq.OpenBlocking(here.Name(), os.O_RDWR, 0, nil)
			must(t, err)
			q, err := b.Poll()
			must(t, err)
			wantError(t, err2(q.TryReceive(make([]byte, 16))), unix.EAGAIN)
		},
	} {
		open()
		collected(t, what, func() bool { return descriptorsOf(here.Name()) == 1 })
	}
}

func TestQueueThatIsWaitedForIsNotForgotten(t *testing.T) {
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
