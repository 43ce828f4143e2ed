package mq_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

func TestOpenErrors(t *testing.T) {
	there, missing := newQueue(t, 1, 16).Name(), newName()
	for _, c := range []struct {
		name  string
		flags int
		attr  *mq.Attr
		want  error
		text  string
	}{
		{missing, os.O_RDWR, nil, os.ErrNotExist, "open: no such queue"},
		{there, os.O_RDWR | os.O_CREATE | os.O_EXCL, nil, os.ErrExist, "already exists"},
		{there, os.O_RDWR | os.O_WRONLY, nil, unix.EINVAL, "invalid argument"},
		{missing, os.O_RDWR | os.O_CREATE, &mq.Attr{MaxMsg: 0, MsgSize: 1}, unix.EINVAL, "must be positive"},
		{missing, os.O_RDWR | os.O_CREATE, &mq.Attr{MaxMsg: 1, MsgSize: -1}, unix.EINVAL, "must be positive"},
		{missing, os.O_RDWR | os.O_CREATE, &mq.Attr{MaxMsg: 1 << 20, MsgSize: 1}, unix.EINVAL, "the system allows"},
		{"name", os.O_RDWR, nil, unix.EINVAL, "begins with a slash"},
		{"", os.O_RDWR, nil, unix.EINVAL, `queue "": open`},
		{"/a\x00b", os.O_RDWR, nil, unix.EINVAL, `queue "/a\x00b": open`},
		{"/", os.O_RDWR, nil, os.ErrNotExist, "ends after the slash"},
		{"/a/b", os.O_RDWR, nil, os.ErrPermission, "one slash"},
		{"//a", os.O_RDWR, nil, unix.EACCES, "one slash"},
		{"/..", os.O_RDWR, nil, unix.EACCES, "not /. or /.."},
		{"/" + strings.Repeat("x", 256), os.O_RDWR, nil, unix.ENAMETOOLONG, "at most 255 bytes"},
	} {
		q, err := mq.Open(c.name, c.flags, 0o600, c.attr)
		if err == nil {
			q.Close()
			mq.Unlink(c.name)
		}
		wantError(t, err, c.want)
		if !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q does not say %q", err, c.text)
		}
	}
	wantError(t, mq.Unlink("name"), unix.EINVAL)
	wantError(t, mq.Unlink("/a/b"), unix.EACCES)
}

func TestErrorTexts(t *testing.T) {
	q, ctx := newQueue(t, 1, 16), t.Context()
	b, r, w := newBlocking(t, q), reopen(t, q.Name(), os.O_RDONLY), reopen(t, q.Name(), os.O_WRONLY)
	long, buf, short, never := make([]byte, 17), make([]byte, 16), make([]byte, 15), &unix.Timespec{Nsec: -1}
	timedOut := err2(b.TimedReceive(buf, &past))
	_, noStatus := w.Status()
	must(t, q.NotifySignal(0, 0)) // replaces a registration
	for _, c := range []struct {
		want error
		text string
		errs []error
	}{
		{unix.EMSGSIZE, "send: a message of 17 bytes, the queue takes 16",
			[]error{q.Send(ctx, long, 0), q.TrySend(long, 0), b.Send(long, 0)}},
		{unix.EINVAL, "send: priority 32768, the highest is 32767",
			[]error{q.Send(ctx, nil, 32768), q.TrySend(nil, 32768), b.Send(nil, 32768)}},
		{unix.EINVAL, fmt.Sprint("send: priority ", uint(math.MaxUint), ", the highest is 32767"),
			[]error{q.Send(ctx, nil, math.MaxUint), q.TrySend(nil, math.MaxUint), b.Send(nil, math.MaxUint)}},
		{unix.EINVAL, "send: the deadline is not a valid time", []error{b.TimedSend(nil, 0, never)}},
		{unix.EBADF, "send: the queue was opened for receiving only", []error{r.Send(ctx, nil, 0), r.TrySend(nil, 0)}},
		{unix.EMSGSIZE, "receive: a buffer of 15 bytes, the queue's messages have up to 16",
			[]error{err2(q.Receive(ctx, short)), err2(q.TryReceive(short)), err2(b.TryReceive(short))}},
		{unix.EMSGSIZE, "receive: a buffer of 0 bytes, the queue's messages have up to 16",
			[]error{err2(q.Receive(ctx, nil)), err2(q.TryReceive(nil))}},
		{unix.EINVAL, "receive: the deadline is not a valid time", []error{err2(b.TimedReceive(buf, never))}},
		{unix.ETIMEDOUT, "receive: the queue stayed empty until the deadline", []error{timedOut}},
		{unix.EBADF, "receive: the queue was opened for sending only",
			[]error{err2(w.Receive(ctx, buf)), err2(w.TryReceive(buf))}},
		{unix.EBADF, "status: the queue was opened for sending only", []error{noStatus}},
		{unix.EINVAL, "notify: no function, or no such signal", []error{q.Notify(nil), q.NotifySignal(65, 0)}},
		{unix.EBUSY, "notify: this process is already registered",
			[]error{q.Notify(func(mq.Event) { t.Error("called for a registration that failed") }), q.NotifyNone()}},
	} {
		for _, err := range c.errs {
			wantError(t, err, c.want)
			if want := "queue " + q.Name() + ": " + c.text; err.Error() != want {
				t.Errorf("%q is not %q", err, want)
			}
		}
	}
}

func TestDeadlinesAreTimeouts(t *testing.T) {
	q, buf := newQueue(t, 1, 16), make([]byte, 16)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Millisecond))
	defer cancel()
	ended, end := context.WithCancel(t.Context())
	end()
	for what, c := range map[string]struct {
		err  error
		want bool
	}{
		"the context's deadline": {err2(q.Receive(ctx, buf)), true},
		"ETIMEDOUT":              {err2(newBlocking(t, q).TimedReceive(buf, &past)), true},
		"a context that ended":   {err2(q.Receive(ended, buf)), false},
		"an empty queue":         {err2(q.TryReceive(buf)), false},
	} {
		if os.IsTimeout(c.err) != c.want || errors.Is(c.err, os.ErrDeadlineExceeded) != c.want {
			t.Errorf("%s: %v: IsTimeout %v, ErrDeadlineExceeded %v", what, c.err, os.IsTimeout(c.err),
				errors.Is(c.err, os.ErrDeadlineExceeded))
		}
	}
}

// CheckName and the kernel must agree on every name.
func FuzzName(f *testing.F) {
	for _, name := range []string{
		"", "/", "name", "/name", "//", "/a/b", "/x/", "/.", "/..", "/...", "/..x",
		"/a\x00", "/x\x00/y", "\x00", "/ \n\xff", "/\x80\xfe",
		"/" + strings.Repeat("x", 255), "/" + strings.Repeat("x", 256), "/" + strings.Repeat("x/", 3000),
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		want := mq.CheckName(name)
		q, err := mq.Open(name, os.O_RDONLY, 0, nil)
		if err == nil {
			q.Close()
		}
		if want == nil && (err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES)) {
			return // no such queue, or not ours
		}
		if want == nil || err == nil || errors.Unwrap(want) != errors.Unwrap(err) || want.Error() != err.Error() {
			t.Fatalf("CheckName: %v\nOpen: %v", want, err)
		}
	})
}
