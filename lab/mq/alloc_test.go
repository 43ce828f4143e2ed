//go:build !race

package mq_test

import (
	"context"
	"testing"

	"daemonlab/lab/mq"
)

// The race detector allocates for itself, so this is for builds without it.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	there, back := newQueue(t, 1, 16), newQueue(t, 1, 16)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go echo(ctx, there, back)
	buf := make([]byte, 16)
	handled := make(chan bool)
	q := newQueue(t, 1, 16)
	handle := func(mq.Event) { handled <- true }

	for what, f := range map[string]func(){
		"send and receive":         func() { q.Send(ctx, buf, 0); q.Receive(ctx, buf) },
		"try on full and on empty": func() { q.TryReceive(buf); q.TrySend(buf, 0); q.TrySend(buf, 0); q.TryReceive(buf) },
		"send and receive that wait, with a context that can end": func() { there.Send(ctx, buf, 0); back.Receive(ctx, buf) },
		"send and receive that wait": func() {
			there.Send(context.Background(), buf, 0)
			back.Receive(context.Background(), buf)
		},
		"notification": func() { q.Notify(handle); q.TrySend(nil, 0); <-handled; q.TryReceive(buf) },
		"attributes":   func() { q.Attr() },
	} {
		if n := testing.AllocsPerRun(200, f); n > 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}
