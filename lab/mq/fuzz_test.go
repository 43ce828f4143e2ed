//go:build linux

package mq_test

import (
	"bytes"
	"errors"
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
