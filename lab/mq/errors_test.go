//go:build linux

package mq_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

// A full and an empty queue give every caller the same error; what one does to it no other must see.
func TestErrorsBelongToTheirCaller(t *testing.T) {
	q := newQueue(t, 1, 16)
	empty := func() error { return err2(q.TryReceive(make([]byte, 16))) }
	full := func() error { return q.TrySend(nil, 0) }
	for _, try := range []func() error{empty, full} {
		first := try()
		for first == nil {
			first = try()
		}
		text := first.Error()
		e, ok := errors.AsType[*mq.Error](first)
		if !ok || e.Name != q.Name() || e.Err != unix.EAGAIN || e.Error() != text {
			t.Fatalf("%v is the *Error %+v", first, e)
		}
		*e = mq.Error{Op: "changed", Name: "/changed", Err: unix.EBADF}
		for _, err := range []error{first, try()} {
			wantError(t, err, unix.EAGAIN)
			if err.Error() != text {
				t.Errorf("%q has become %q", text, err)
			}
		}
	}
}

func TestDeadlinesAreTimeouts(t *testing.T) {
	q := newQueue(t, 1, 16)
	b := newBlocking(t, q)
	buf := make([]byte, 16)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Millisecond))
	defer cancel()
	ended, end := context.WithCancel(t.Context())
	end()
	_, _, tried := q.TryReceive(buf)
	d := newQueue(t, 1, 16)
	must(t, d.SetDeadline(time.Unix(1, 0)))
	for what, c := range map[string]struct {
		err  error
		want bool
	}{
		"the context's deadline": {err2(q.Receive(ctx, buf)), true},
		"ETIMEDOUT":              {err2(b.TimedReceive(buf, &past)), true},
		"the queue's deadline":   {err2(d.Receive(t.Context(), buf)), true},
		"a context that ended":   {err2(q.Receive(ended, buf)), false},
		"an empty queue":         {tried, false},
	} {
		if os.IsTimeout(c.err) != c.want || errors.Is(c.err, os.ErrDeadlineExceeded) != c.want {
			t.Errorf("%s: %v: IsTimeout %v, ErrDeadlineExceeded %v", what, c.err, os.IsTimeout(c.err),
				errors.Is(c.err, os.ErrDeadlineExceeded))
		}
	}
}
