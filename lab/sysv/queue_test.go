package sysv_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
)

// kept is a message as the model below keeps it.
type kept struct {
	mtype int
	text  string
}

// selected is the index of the message that msgrcv(2) promises, -1 for none.
func selected(queue []kept, selector int, flags sysv.Flag) int {
	best := -1
	for i, m := range queue {
		switch {
		case selector == 0,
			selector > 0 && (m.mtype == selector) != (flags&sysv.Except != 0):
			return i
		case selector < 0 && m.mtype <= -selector && (best < 0 || m.mtype < queue[best].mtype):
			best = i
		}
	}
	return best
}

// TestReceiveSelects compares a queue with a model, message by message, over a long random history.
func TestReceiveSelects(t *testing.T) {
	q := newQueue(t)
	var model []kept
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	buf := make([]byte, 100)
	for step := range 20_000 {
		if r.IntN(2) == 0 && len(model) < 50 {
			m := kept{1 + r.IntN(6), fmt.Sprint(step)}
			must(t, q.Send(m.mtype, []byte(m.text), sysv.NoWait))
			model = append(model, m)
			continue
		}
		selector := r.IntN(15) - 7
		flags := sysv.NoWait
		if r.IntN(3) == 0 {
			flags |= sysv.Except
		}
		n, mtype, err := q.Receive(buf, selector, flags)
		i := selected(model, selector, flags)
		if i < 0 {
			if !errors.Is(err, unix.ENOMSG) {
				t.Fatalf("seed %d: selector %d of %v: got %v, want ENOMSG", seed, selector, model, err)
			}
			continue
		}
		if got := (kept{mtype, string(buf[:n])}); err != nil || got != model[i] {
			t.Fatalf("seed %d: selector %d, flags %#o of %v: got %v, %v", seed, selector, flags, model, got, err)
		}
		model = slices.Delete(model, i, i+1)
	}
}

// TestTextsOfEveryLength goes over the places where the kernel begins a new page for a text.
func TestTextsOfEveryLength(t *testing.T) {
	q := newQueue(t)
	l, err := sysv.SystemLimits()
	must(t, err)
	longest := min(l.MsgMax, l.MsgMnb, 8192)
	text := make([]byte, longest)
	rand.NewChaCha8([32]byte{}).Read(text)
	buf := make([]byte, longest+1)
	for size := 0; size <= longest; size += 1 + size/16*size%37 {
		must(t, q.Send(math.MaxInt, text[:size], sysv.NoWait))
		n, mtype, err := q.Receive(buf, 0, sysv.NoWait)
		must(t, err)
		if mtype != math.MaxInt || !bytes.Equal(buf[:n], text[:size]) {
			t.Fatalf("%d bytes came as %d, of type %d", size, n, mtype)
		}
	}
}

// TestNothingIsLostOrDoubled has senders and receivers of several types work at once.
func TestNothingIsLostOrDoubled(t *testing.T) {
	const types, sendersOfEach, receiversOfEach, each = 3, 2, 2, 500
	q := newQueue(t)
	var senders, receivers sync.WaitGroup
	var counted sync.Map
	for mtype := 1; mtype <= types; mtype++ {
		for s := range sendersOfEach {
			senders.Go(func() {
				for i := range each {
					if err := q.Send(mtype, fmt.Append(nil, mtype, s, i), 0); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range receiversOfEach {
			receivers.Go(func() {
				buf := make([]byte, 100)
				for range sendersOfEach * each / receiversOfEach {
					n, got, err := q.Receive(buf, mtype, 0)
					if err != nil || got != mtype {
						t.Errorf("type %d: got %d, %v", mtype, got, err)
						return
					}
					if _, twice := counted.LoadOrStore(string(buf[:n]), true); twice {
						t.Errorf("%s came twice", buf[:n])
					}
				}
			})
		}
	}
	senders.Wait()
	receivers.Wait()
	total := 0
	counted.Range(func(any, any) bool { total++; return true })
	if total != types*sendersOfEach*each {
		t.Errorf("%d different messages came of %d", total, types*sendersOfEach*each)
	}
}

// TestReceiveHappensAfterSend is for the race detector.
func TestReceiveHappensAfterSend(t *testing.T) {
	q := newQueue(t)
	shared := 0
	done := onThread(func() error {
		_, _, err := q.Receive(make([]byte, 1), 0, 0)
		shared++
		return err
	}).done
	shared++
	must(t, q.Send(1, nil, 0), next(t, done))
	if shared != 2 {
		t.Error(shared)
	}
}

func TestRemoveWakesWaiters(t *testing.T) {
	empty, full := newQueue(t), newQueue(t)
	fill(t, full)
	receiver := onThread(func() error {
		_, _, err := empty.Receive(nil, 0, 0)
		return err
	})
	sender := onThread(func() error { return full.Send(1, make([]byte, 100), 0) })
	receiver.asleep(t, unix.SYS_MSGRCV)
	sender.asleep(t, unix.SYS_MSGSND)
	must(t, empty.Remove(), full.Remove())
	for _, waiter := range []struct {
		thread
		call string
		q    sysv.Queue
	}{{receiver, "msgrcv", empty}, {sender, "msgsnd", full}} {
		err := next(t, waiter.done)
		wantError(t, err, unix.EIDRM, fmt.Sprintf("queue %v: %s: the queue was removed", waiter.q, waiter.call))
		wantError(t, err, os.ErrNotExist, err.Error())
	}
}

// fill leaves no room for a message of 100 bytes.
func fill(t testing.TB, q sysv.Queue) {
	t.Helper()
	for {
		err := q.Send(1, make([]byte, 100), sysv.NoWait)
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		must(t, err)
	}
}

func TestKeys(t *testing.T) {
	key := sysv.Key(rand.Int32()) | 1
	q, err := sysv.Get(key, sysv.Create|sysv.Exclusive, 0o622)
	must(t, err)
	t.Cleanup(func() { q.Remove() })
	if want := fmt.Sprintf("%d (key 0x%08x)", q.ID(), int32(key)); q.String() != want {
		t.Errorf("it calls itself %q, not %q", q, want)
	}
	again, err := sysv.Get(key, 0, 0)
	must(t, err)
	if again.ID() != q.ID() {
		t.Errorf("the key leads to %v and to %v", q, again)
	}
	_, err = sysv.Get(key, sysv.Create|sysv.Exclusive, 0o600)
	wantError(t, err, os.ErrExist, fmt.Sprintf("queue with key %v: msgget: the queue exists already", key))
	must(t, sysv.ByID(q.ID()).Remove())
	_, err = sysv.Get(key, 0, 0)
	wantError(t, err, os.ErrNotExist, fmt.Sprintf("queue with key %v: msgget: no such queue", key))
}
