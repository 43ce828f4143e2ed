//go:build !race

package mq_test

import (
	"testing"
	"time"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

// The race detector allocates too, so this test is for builds without it.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	ctx, buf, handled := t.Context(), make([]byte, 16), make(chan bool)
	q := newQueue(t, 1, 16)
	b := newBlocking(t, q)
	handle := func(mq.Event) { handled <- true }

	for what, f := range map[string]func(){
		"send and receive":               func() { q.Send(ctx, buf, 0); q.Receive(ctx, buf) },
		"try on empty":                   func() { q.TryReceive(buf) },
		"try on full":                    func() { q.TrySend(buf, 0); q.TrySend(buf, 0); q.TryReceive(buf) },
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
		"notification": func() { q.Notify(handle); q.TrySend(nil, 0); <-handled; q.TryReceive(buf) },
		"attributes":   func() { q.Attr() },
	} {
		if n := testing.AllocsPerRun(200, f); n > 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}
