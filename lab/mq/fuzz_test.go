//go:build linux

package mq_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"strings"
	"testing"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

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

// Attributes become what was asked for or EINVAL, never something else.
func FuzzAttr(f *testing.F) {
	for _, a := range [][2]int{
		{1, 1}, {0, 1}, {1, 0}, {-1, -1}, {10, 8192}, {11, 1}, {1, 8193}, {math.MinInt, 1}, {math.MaxInt, 1},
		{math.MaxInt, math.MaxInt}, {1 << (bits.UintSize / 2), 1 << (bits.UintSize / 2)}, // the product overflows
	} {
		f.Add(a[0], a[1])
	}
	f.Fuzz(func(t *testing.T, maxMsg, msgSize int) {
		name := newName()
		q, err := mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: maxMsg, MsgSize: msgSize})
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENOSPC) {
			t.Skip(err)
		}
		if err != nil {
			l, limitsErr := mq.SystemLimits()
			must(t, limitsErr)
			if maxMsg > 0 && maxMsg <= l.MsgMax && msgSize > 0 && msgSize <= l.MsgSizeMax || !errors.Is(err, unix.EINVAL) {
				t.Fatal(err)
			}
			return
		}
		a, err := q.Attr()
		if err != nil || a != (mq.Attr{MaxMsg: maxMsg, MsgSize: msgSize, NonBlock: true}) {
			t.Errorf("asked for %d of %d, got %+v, %v", maxMsg, msgSize, a, err)
		}
		must(t, mq.Unlink(name), q.Close())
	})
}

// A message of any content, size and priority comes back as it was, or is refused for the right reason.
func FuzzMessage(f *testing.F) {
	const size = 64
	for _, prio := range []uint{0, 1, 32767, 32768, 1 << 31, math.MaxUint/2 + 1, math.MaxUint} {
		f.Add([]byte("hello"), prio, size)
	}
	f.Add([]byte{}, uint(0), size-1)
	f.Add(bytes.Repeat([]byte{0}, size), uint(0), 1<<17)
	f.Add(bytes.Repeat([]byte{0}, size+1), uint(0), 0)
	f.Add(bytes.Repeat([]byte{0}, size+1), uint(32768), size)
	f.Fuzz(func(t *testing.T, msg []byte, prio uint, room int) {
		q := newQueue(t, 1, size)
		err := q.TrySend(msg, prio)
		switch {
		case prio > 32767:
			wantError(t, err, unix.EINVAL)
		case len(msg) > size:
			wantError(t, err, unix.EMSGSIZE)
		}
		if err != nil {
			return
		}
		buf := make([]byte, min(max(room, 0), 1<<20))
		n, got, err := q.TryReceive(buf)
		if len(buf) < size {
			wantError(t, err, unix.EMSGSIZE)
			return
		}
		if err != nil || got != prio || !bytes.Equal(buf[:n], msg) {
			t.Fatalf("sent %q %d, got %q %d, %v", msg, prio, buf[:n], got, err)
		}
	})
}

// Only what the package made and the kernel marked is taken for a cookie.
func FuzzCookie(f *testing.F) {
	f.Add(mq.EncodeCookie(1, mq.Arrived))
	f.Add(mq.EncodeCookie(1<<63, mq.Removed))
	f.Add(mq.EncodeCookie(7, 0))
	f.Add(mq.EncodeCookie(7, 3))
	f.Add(mq.EncodeCookie(1, 0xff))
	f.Add([]byte{8: 1, 31: byte(mq.Arrived)})
	f.Add(append(mq.EncodeCookie(1, mq.Arrived), 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		id, ev, ok := mq.DecodeCookie(b)
		if ok && (ev != mq.Arrived && ev != mq.Removed || !bytes.Equal(mq.EncodeCookie(id, ev), b)) {
			t.Fatalf("%x was taken for %d, %v", b, id, ev)
		}
	})
}

// A status line that is accepted says what was read from it, and a line of the kernel's is accepted.
func FuzzStatusLine(f *testing.F) {
	f.Add("QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260  \n")
	f.Add("QSIZE:0          NOTIFY:0     SIGNO:10    NOTIFY_PID:1     \n")
	f.Add("QSIZE:+1 NOTIFY:0 SIGNO:0 NOTIFY_PID:0\n")
	f.Add("QSIZE:1_0 NOTIFY:0 SIGNO:0 NOTIFY_PID:0\n")
	f.Add("")
	f.Add("QSIZE:18446744073709551616 NOTIFY:0 SIGNO:0 NOTIFY_PID:0\n")
	f.Add("QSIZE:1\v NOTIFY:0\t SIGNO:0\n NOTIFY_PID:0\n")
	f.Add("QSIZE:1 NOTIFY:0 SIGNO:0 NOTIFY_PID:0\nQSIZE:1\n")
	f.Fuzz(func(t *testing.T, line string) {
		s, err := mq.ParseStatus(line)
		if err != nil {
			return
		}
		kernel := fmt.Sprintf("QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", s.QSize, s.Notify, s.Signo, s.NotifyPID)
		if again, err := mq.ParseStatus(kernel); err != nil || again != s {
			t.Fatalf("%q: %+v, again %+v, %v", line, s, again, err)
		}
		if strings.Join(strings.Fields(line), " ") != strings.Join(strings.Fields(kernel), " ") {
			t.Fatalf("%q was taken for %q", line, kernel)
		}
	})
}
