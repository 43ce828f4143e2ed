//go:build linux

package mq_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

func TestHigherPriorityFirstThenOldest(t *testing.T) {
	q := newQueue(t, 5, 16)
	for _, m := range []struct {
		text string
		prio uint
	}{{"c", 1}, {"a", 32767}, {"d", 1}, {"b", 2}, {"e", 0}} {
		must(t, q.Send(t.Context(), []byte(m.text), m.prio))
	}
	buf := make([]byte, 16)
	got := ""
	for range 5 {
		n, prio, err := q.Receive(t.Context(), buf)
		must(t, err)
		got += fmt.Sprintf("%s%d ", buf[:n], prio)
	}
	if want := "a32767 b2 c1 d1 e0 "; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestMessagesOfAnySize(t *testing.T) {
	q := newQueue(t, 1, 100)
	buf := make([]byte, 100)
	for _, size := range []int{0, 1, 99, 100} {
		must(t, q.Send(t.Context(), []byte(strings.Repeat("x", size)), 0))
		if n, _, err := q.Receive(t.Context(), buf); err != nil || n != size {
			t.Fatalf("sent %d bytes, got %d, %v", size, n, err)
		}
	}
	huge := make([]byte, 1<<20) // takes the way for long copies
	must(t, q.TrySend([]byte("x"), 0))
	if n, _, err := q.TryReceive(huge); err != nil || n != 1 {
		t.Fatalf("got %d, %v", n, err)
	}
	wantError(t, q.TrySend(huge, 0), unix.EMSGSIZE)
	_, _, err := q.TryReceive(huge)
	wantError(t, err, unix.EAGAIN)
}

func TestSendErrors(t *testing.T) {
	q := newQueue(t, 1, 16)
	r, err := mq.Open(q.Name(), os.O_RDONLY, 0, nil)
	must(t, err)
	defer r.Close()
	for _, c := range []struct {
		q    *mq.Queue
		size int
		prio uint
		want error
		text string
	}{
		{q, 17, 0, unix.EMSGSIZE, "a message of 17 bytes, the queue takes 16"},
		{q, 1, 32768, unix.EINVAL, "priority 32768, the highest is 32767"},
		{q, 1, math.MaxUint, unix.EINVAL, fmt.Sprint("priority ", uint(math.MaxUint))},
		{r, 1, 0, unix.EBADF, "for receiving only"},
	} {
		for _, err := range []error{
			c.q.Send(t.Context(), make([]byte, c.size), c.prio),
			c.q.TrySend(make([]byte, c.size), c.prio),
		} {
			wantError(t, err, c.want)
			wantText(t, err, "queue "+q.Name()+": send: ", c.text)
		}
	}
}

func wantText(t *testing.T, err error, start, part string) {
	t.Helper()
	if !strings.HasPrefix(err.Error(), start) || !strings.Contains(err.Error(), part) {
		t.Errorf("%q does not begin with %q and say %q", err, start, part)
	}
}

func TestReceiveErrors(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, q.TrySend([]byte("x"), 0))
	w, err := mq.Open(q.Name(), os.O_WRONLY, 0, nil)
	must(t, err)
	defer w.Close()
	for _, c := range []struct {
		q    *mq.Queue
		size int
		want error
		text string
	}{
		{q, 15, unix.EMSGSIZE, "a buffer of 15 bytes, the queue's messages have up to 16"},
		{q, 0, unix.EMSGSIZE, "a buffer of 0 bytes"},
		{w, 16, unix.EBADF, "for sending only"},
	} {
		_, _, waited := c.q.Receive(t.Context(), make([]byte, c.size))
		_, _, tried := c.q.TryReceive(make([]byte, c.size))
		for _, err := range []error{waited, tried} {
			wantError(t, err, c.want)
			wantText(t, err, "queue "+q.Name()+": receive: ", c.text)
		}
	}
}

func TestTryOnFullAndEmpty(t *testing.T) {
	q := newQueue(t, 1, 16)
	_, _, err := q.TryReceive(make([]byte, 16))
	wantError(t, err, unix.EAGAIN)
	must(t, q.TrySend([]byte("x"), 0))
	wantError(t, q.TrySend([]byte("x"), 0), unix.EAGAIN)
}

func TestTryNeverSleepsWhoeverClearsTheFlag(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, q.Control(func(fd uintptr) { must(t, unix.SetNonblock(int(fd), false)) }))
	_, _, err := q.TryReceive(make([]byte, 16))
	wantError(t, err, unix.EAGAIN)
	must(t, q.TrySend([]byte("x"), 0))
	wantError(t, q.TrySend([]byte("x"), 0), unix.EAGAIN)

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	wantError(t, q.Send(ctx, []byte("x"), 0), context.DeadlineExceeded)
}

func TestWaitersGetWhatComes(t *testing.T) {
	q := newQueue(t, 1, 16)
	got := make(chan error)
	go func() {
		n, prio, err := q.Receive(context.Background(), make([]byte, 16))
		if err == nil && (n != 5 || prio != 3) {
			err = fmt.Errorf("%d bytes of priority %d", n, prio)
		}
		got <- err
	}()
	parked(t, 1)
	must(t, q.Send(t.Context(), []byte("hello"), 3))
	must(t, next(t, got))

	must(t, q.TrySend([]byte("full"), 0))
	go func() { got <- q.Send(context.Background(), []byte("next"), 0) }()
	parked(t, 1)
	_, _, err := q.TryReceive(make([]byte, 16))
	must(t, err, next(t, got))
}

// Under the race detector this fails unless it is told of the order that messages and notifications make.
func TestMessagesOrderMemory(t *testing.T) {
	q := newQueue(t, 1, 16)
	shared := 0
	go func() {
		shared = 1
		q.TrySend(nil, 0)
	}()
	must(t, err2(q.Receive(t.Context(), make([]byte, 16))))
	shared++

	done := make(chan bool)
	must(t, q.Notify(func(mq.Event) {
		shared++
		close(done)
	}))
	shared++
	must(t, q.TrySend(nil, 0))
	next(t, done)
	if shared != 4 {
		t.Fatal(shared)
	}
}

func TestNothingLostBetweenManyWaiters(t *testing.T) {
	const workers, each = 4, 500
	q := newQueue(t, 2, 16)
	seen := make(chan string, workers*each)
	failed := make(chan error, 2*workers)
	for w := range workers {
		go func() {
			for i := range each {
				if err := q.Send(context.Background(), fmt.Appendf(nil, "%d %d", w, i), 0); err != nil {
					failed <- err
				}
			}
		}()
		go func() {
			buf := make([]byte, 16)
			for range each {
				n, _, err := q.Receive(context.Background(), buf)
				if err != nil {
					failed <- err
				}
				seen <- string(buf[:n])
			}
		}()
	}
	once := make(map[string]bool)
	for range workers * each {
		m := next(t, seen)
		if once[m] {
			t.Fatalf("%q came twice", m)
		}
		once[m] = true
	}
	if len(failed) > 0 {
		t.Fatal(<-failed)
	}
}
