package sysv

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// How queues behave, which is the kernel's doing, is stated in specs/sysv. Here is what the package adds.

// newQueue makes a queue that goes with the test.
func newQueue(t *testing.T) Queue {
	t.Helper()
	q, err := Get(Private, Create, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Remove() })
	return q
}

// TestTextsOfEveryLength goes over the places where the kernel begins a new page for a text.
func TestTextsOfEveryLength(t *testing.T) {
	q := newQueue(t)
	text := make([]byte, 8192)
	rand.NewChaCha8([32]byte{}).Read(text)
	buf := make([]byte, len(text)+1)
	for size := 0; size <= len(text); size += 1 + size/16*size%37 {
		sent := q.Send(math.MaxInt, text[:size], NoWait)
		n, mtype, err := q.Receive(buf, 0, NoWait)
		if sent != nil || err != nil || mtype != math.MaxInt || !bytes.Equal(buf[:n], text[:size]) {
			t.Fatalf("%d bytes came as %d, of type %d, %v, %v", size, n, mtype, sent, err)
		}
	}
}

// TestErrors tells a queue that is no more from other causes of EINVAL.
func TestErrors(t *testing.T) {
	q, removed := newQueue(t), newQueue(t)
	if err := errors.Join(removed.Remove(), q.Send(1, []byte("four"), NoWait)); err != nil {
		t.Fatal(err)
	}
	_, _, none := q.Receive(nil, 9, NoWait)
	_, _, long := q.Receive(make([]byte, 3), 0, NoWait)
	_, atThePlace := (q ^ 1<<30).Status() // the lower bits are a place, which another queue may have
	_, unused := Get(Key(rand.Int32()|1), 0, 0)
	for name, c := range map[string]struct {
		err   error
		errno unix.Errno
		gone  bool
	}{
		"no message":           {none, unix.ENOMSG, false},
		"a short buffer":       {long, unix.E2BIG, false},
		"a negative type":      {q.Send(-5, nil, 0), unix.EINVAL, false},
		"a message too long":   {q.Send(1, make([]byte, 1<<20), 0), unix.EINVAL, false},
		"send to no queue":     {removed.Send(1, nil, 0), unix.EINVAL, true},
		"set no queue":         {removed.Set(Status{}), unix.EINVAL, true},
		"remove no queue":      {removed.Remove(), unix.EINVAL, true},
		"another in its place": {atThePlace, unix.EINVAL, true},
		"an unused key":        {unused, unix.ENOENT, true},
	} {
		if !errors.Is(c.err, c.errno) || errors.Is(c.err, os.ErrNotExist) != c.gone {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}
