//go:build linux && !race

package mq_test

import (
	"context"
	"testing"
	"time"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

// echo has a goroutine send back what comes there, until stop.
func echo(there, back *mq.Queue) (stop func()) {
	ended := make(chan error)
	go func() { ended <- parts["echo"]([]string{"Queue", there.Name(), back.Name()}) }()
	return func() {
		there.Send(context.Background(), nil, 0)
		<-ended
	}
}

// The race detector allocates for itself, so this is for builds without it.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	there, back := newQueue(t, 1, 16), newQueue(t, 1, 16)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer echo(there, back)()
	buf := make([]byte, 16)
	handled := make(chan bool)
	q := newQueue(t, 1, 16)
	b := newBlocking(t, q)
	handle := func(mq.Event) { handled <- true }

	for what, f := range map[string]func(){
		"send and receive":         func() { q.Send(ctx, buf, 0); q.Receive(ctx, buf) },
		"try on full and on empty": func() { q.TryReceive(buf); q.TrySend(buf, 0); q.TrySend(buf, 0); q.TryReceive(buf) },
		"send and receive that wait, with a context that can end": func() { there.Send(ctx, buf, 0); back.Receive(ctx, buf) },
		"send and receive that wait": func() {
			there.Send(context.Background(), buf, 0)
			back.Receive(context.Background(), buf)
		},
		"send and receive in the kernel": func() { b.Send(buf, 0); b.Receive(buf) },
		"send and receive in the kernel, with a deadline": func() {
			deadline := time.Now().Add(time.Minute)
			b.SendUntil(buf, 0, deadline)
			b.ReceiveUntil(buf, deadline)
		},
		"send and receive in the kernel, with a timespec": func() {
			deadline := unix.NsecToTimespec(time.Now().Add(time.Minute).UnixNano())
			b.TimedSend(buf, 0, &deadline)
			b.TimedReceive(buf, &deadline)
		},
		"send and receive that wait, with the queue's deadline": func() {
			back.SetReceiveDeadline(time.Now().Add(time.Minute))
			there.Send(context.Background(), buf, 0)
			back.Receive(context.Background(), buf)
			back.SetReceiveDeadline(time.Time{})
		},
		"notification": func() { q.Notify(handle); q.TrySend(nil, 0); <-handled; q.TryReceive(buf) },
		"attributes":   func() { q.Attr() },
	} {
		if n := testing.AllocsPerRun(200, f); n > 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

// A context that is made for one wait has its own allocations, and the wait adds none.
func TestWaitAddsNoAllocationToItsContext(t *testing.T) {
	there, back := newQueue(t, 1, 16), newQueue(t, 1, 16)
	defer echo(there, back)()
	buf := make([]byte, 16)
	for what, make := range map[string]func() (context.Context, context.CancelFunc){
		"cancel":  func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
		"timeout": func() (context.Context, context.CancelFunc) { return context.WithTimeout(t.Context(), time.Minute) },
	} {
		alone := testing.AllocsPerRun(200, func() {
			ctx, cancel := make()
			ctx.Done()
			cancel()
		})
		waiting := testing.AllocsPerRun(200, func() {
			ctx, cancel := make()
			there.Send(ctx, buf, 0)
			back.Receive(ctx, buf)
			cancel()
		})
		if waiting > alone {
			t.Errorf("%s: %v allocations, %v with a wait", what, alone, waiting)
		}
	}
}
