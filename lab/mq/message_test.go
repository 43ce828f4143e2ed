//go:build linux

package mq_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"sync"
	"testing"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

// ways are the iterators that end with a context.
var ways = map[string]func(*mq.Queue, context.Context) iter.Seq2[mq.Message, error]{
	"Messages": (*mq.Queue).Messages,
	"Notified": (*mq.Queue).Notified,
}

func TestIteratorsGiveWhatReceiveWould(t *testing.T) {
	for way, messages := range ways {
		t.Run(way, func(t *testing.T) {
			q := newQueue(t, 3, 16)
			must(t, q.TrySend([]byte("later"), 1), q.TrySend([]byte("first"), 9), q.TrySend(nil, 0))
			got := ""
			for m, err := range messages(q, t.Context()) {
				must(t, err)
				if got += fmt.Sprintf("%s%d ", m.Body, m.Priority); m.Priority == 0 {
					break
				}
			}
			if want := "first9 later1 0 "; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if registered(t, q) {
				t.Error("the registration outlives the loop")
			}
		})
	}
}

// collect ends with the error that the iterator gives.
func collect(messages iter.Seq2[mq.Message, error]) error {
	for _, err := range messages {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestIteratorsEndWithTheContextAndWithClose(t *testing.T) {
	for way, messages := range ways {
		t.Run(way, func(t *testing.T) {
			q := newQueue(t, 1, 16)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			waiting := func() {
				go func() { done <- collect(messages(q, ctx)) }()
				if way == "Messages" {
					parked(t, 1)
				} else {
					eventually(t, "registered", func() bool { return registered(t, q) })
				}
			}
			waiting()
			cancel()
			wantError(t, next(t, done), context.Canceled)
			if registered(t, q) {
				t.Error("the registration outlives the context")
			}
			wantError(t, collect(messages(q, ctx)), context.Canceled)

			ctx = t.Context()
			waiting()
			must(t, q.Close())
			wantError(t, next(t, done), os.ErrClosed)
			wantError(t, collect(messages(q, ctx)), os.ErrClosed)
		})
	}
}

func TestIteratorsSayWhatReceiveWould(t *testing.T) {
	here := newQueue(t, 1, 16)
	w := reopen(t, here.Name(), os.O_WRONLY)
	for _, messages := range ways {
		wantError(t, collect(messages(w, t.Context())), unix.EBADF)
	}
	if registered(t, here) {
		t.Error("the registration outlives the loop")
	}
}

func TestNotifiedMeetsAnotherRegistration(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, q.NotifyNone())
	wantError(t, collect(q.Notified(t.Context())), unix.EBUSY)
	if !registered(t, q) {
		t.Error("the other registration is gone")
	}
}

// Any close of a descriptor of the queue in this process ends the registration.
func TestNotifiedRegistersAgainAfterAStrangeClose(t *testing.T) {
	b := newBlocking(t, newQueue(t, 1, 16))
	ctx, cancel := context.WithCancel(t.Context())
	got, done := make(chan string), make(chan error, 1)
	go func() {
		for m, err := range b.Notified(ctx) {
			if err != nil {
				done <- err
				return
			}
			got <- string(m.Body)
		}
	}()
	for range 3 {
		other := reopen(t, b.Name(), os.O_RDWR)
		eventually(t, "registered", func() bool { return registered(t, other) })
		must(t, other.Close())
	}
	must(t, b.Send([]byte("hello"), 0))
	if text := next(t, got); text != "hello" {
		t.Fatal(text)
	}
	cancel()
	wantError(t, next(t, done), context.Canceled)
}

func TestNotifiedLosesNothing(t *testing.T) {
	const senders, each = 4, 250
	q := newQueue(t, 3, 16)
	var group sync.WaitGroup
	for s := range senders {
		group.Go(func() {
			for i := range each {
				if err := q.Send(t.Context(), fmt.Appendf(nil, "%d %d", s, i), 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := make(map[string]bool)
	for m, err := range q.Notified(t.Context()) {
		must(t, err)
		if seen[string(m.Body)] {
			t.Fatalf("%q came twice", m.Body)
		}
		if seen[string(m.Body)] = true; len(seen) == senders*each {
			break
		}
	}
	group.Wait()
}
