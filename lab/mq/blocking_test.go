//go:build linux

package mq_test

import (
	"fmt"
	"math"
	"math/bits"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

var (
	past      = unix.Timespec{Sec: 1}
	always, _ = unix.TimeToTimespec(time.Unix(math.MaxInt64>>(64-bits.UintSize), 0)) // TIME_T_MAX
)

func (th thread) result(t testing.TB) error {
	t.Helper()
	return next(t, th.done)
}

func sleepingReceiver(t testing.TB, b *mq.Blocking, deadline *unix.Timespec) thread {
	th := onThread(func() error {
		_, _, err := b.TimedReceive(make([]byte, 16), deadline)
		return err
	})
	th.asleep(t, unix.SYS_MQ_TIMEDRECEIVE)
	return th
}

func TestBlockingSleepsInTheKernel(t *testing.T) {
	for _, deadline := range []*unix.Timespec{nil, &always} {
		b := newBlocking(t, newQueue(t, 1, 16))
		receiver := sleepingReceiver(t, b, deadline)
		must(t, b.Send([]byte("one"), 0), receiver.result(t))

		must(t, b.Send([]byte("one"), 0))
		sender := onThread(func() error { return b.TimedSend([]byte("two"), 0, deadline) })
		sender.asleep(t, unix.SYS_MQ_TIMEDSEND)
		n, _, err := b.Receive(make([]byte, 16))
		if err != nil || n != 3 {
			t.Fatalf("got %d bytes, %v", n, err)
		}
		must(t, sender.result(t))
	}
}

func TestBlockingDeadlinesAreTheKernels(t *testing.T) {
	b := newBlocking(t, newQueue(t, 1, 16))
	buf := make([]byte, 16)
	soon, err := unix.TimeToTimespec(time.Now().Add(5 * time.Millisecond))
	must(t, err)

	for _, c := range []struct {
		deadline    unix.Timespec
		empty, full error
	}{
		{past, unix.ETIMEDOUT, unix.ETIMEDOUT},
		{soon, unix.ETIMEDOUT, unix.ETIMEDOUT},
		{unix.Timespec{}, unix.ETIMEDOUT, unix.ETIMEDOUT},
		{unix.Timespec{Sec: 1, Nsec: -1}, unix.EINVAL, unix.EINVAL},
		{unix.Timespec{Sec: 1, Nsec: 1e9}, unix.EINVAL, unix.EINVAL},
		{unix.Timespec{Sec: -1}, unix.EINVAL, unix.EINVAL},
	} {
		_, _, err := b.TimedReceive(buf, &c.deadline)
		wantError(t, err, c.empty)
		must(t, b.Send([]byte("x"), 0))
		wantError(t, b.TimedSend([]byte("y"), 0, &c.deadline), c.full)

		_, _, err = b.TimedReceive(buf, &c.deadline) // a deadline that is past is no matter when a message is there
		if c.empty == unix.ETIMEDOUT {
			must(t, err)
			continue
		}
		wantError(t, err, unix.EINVAL) // one that is no time is
		must(t, err2(b.Receive(buf)))
		wantError(t, b.TimedSend([]byte("x"), 0, &c.deadline), unix.EINVAL)
	}
}

func TestUntil(t *testing.T) {
	b := newBlocking(t, newQueue(t, 1, 16))
	buf := make([]byte, 16)
	never, far := time.Time{}, time.Unix(math.MaxInt64, 0)
	for _, deadline := range []time.Time{never, far} {
		th := onThread(func() error { return err2(b.ReceiveUntil(buf, deadline)) })
		th.asleep(t, unix.SYS_MQ_TIMEDRECEIVE)
		must(t, b.SendUntil(nil, 0, deadline), th.result(t))
	}
	for _, deadline := range []time.Time{time.Unix(-1, 0), time.Unix(0, 0), time.Now().Add(5 * time.Millisecond)} {
		wantError(t, err2(b.ReceiveUntil(buf, deadline)), unix.ETIMEDOUT)
		must(t, b.SendUntil(nil, 0, deadline))
		wantError(t, b.SendUntil(nil, 0, deadline), unix.ETIMEDOUT)
		must(t, err2(b.ReceiveUntil(buf, deadline)))
	}
}

func err2(_ int, _ uint, err error) error { return err }

func TestBlockingTries(t *testing.T) {
	b := newBlocking(t, newQueue(t, 1, 16))
	buf := make([]byte, 16)
	wantError(t, err2(b.TryReceive(buf)), unix.EAGAIN)
	must(t, b.TrySend([]byte("x"), 3))
	wantError(t, b.TrySend([]byte("y"), 3), unix.EAGAIN)
	if n, prio, err := b.TryReceive(buf); err != nil || string(buf[:n]) != "x" || prio != 3 {
		t.Errorf("received %q, priority %d, %v", buf[:n], prio, err)
	}
	wantError(t, b.TrySend(make([]byte, 17), 0), unix.EMSGSIZE)
	wantError(t, err2(b.TryReceive(buf[:15])), unix.EMSGSIZE)
	must(t, b.Close())
	wantError(t, b.TrySend(nil, 0), os.ErrClosed)
	wantError(t, err2(b.TryReceive(buf)), os.ErrClosed)
}

func TestBlockingErrorTexts(t *testing.T) {
	b := newBlocking(t, newQueue(t, 1, 16))
	_, _, empty := b.TimedReceive(make([]byte, 16), &past)
	_, _, invalid := b.TimedReceive(make([]byte, 16), &unix.Timespec{Nsec: -1})
	for text, err := range map[string]error{
		"stayed empty until the deadline": empty,
		"the deadline is no valid time":   invalid,
		"deadline is no valid time":       b.TimedSend(nil, 0, &unix.Timespec{Nsec: -1}),
		"priority 32768":                  b.Send(nil, 32768),
		"a message of 17 bytes":           b.Send(make([]byte, 17), 0),
	} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
}

func TestSetAttr(t *testing.T) {
	b := newBlocking(t, newQueue(t, 1, 16))
	old, err := b.SetAttr(mq.Attr{MaxMsg: 7, MsgSize: 7, CurMsgs: 7, NonBlock: true})
	if want := (mq.Attr{MaxMsg: 1, MsgSize: 16}); err != nil || old != want {
		t.Fatalf("before: %+v, %v", old, err)
	}
	a, err := b.Attr()
	if want := (mq.Attr{MaxMsg: 1, MsgSize: 16, NonBlock: true}); err != nil || a != want {
		t.Fatalf("after: %+v, %v", a, err)
	}
	wantError(t, err2(b.Receive(make([]byte, 16))), unix.EAGAIN)
	must(t, b.Send(nil, 0))
	wantError(t, b.TimedSend(nil, 0, &always), unix.EAGAIN)

	_, err = b.SetAttr(mq.Attr{})
	must(t, err)
	wantError(t, b.TimedSend(nil, 0, &past), unix.ETIMEDOUT)
}

func TestOpenBlockingWithNonBlock(t *testing.T) {
	q := newQueue(t, 1, 16)
	b, err := mq.OpenBlocking(q.Name(), os.O_RDWR|unix.O_NONBLOCK, 0, nil)
	must(t, err)
	defer b.Close()
	wantError(t, err2(b.Receive(make([]byte, 16))), unix.EAGAIN)
}

func TestBlockedReceiverHoldsBackTheNotification(t *testing.T) {
	q := newQueue(t, 1, 16)
	b := newBlocking(t, q)
	events := make(chan mq.Event)
	must(t, q.Notify(func(ev mq.Event) { events <- ev }))

	receiver := sleepingReceiver(t, b, nil)
	must(t, q.TrySend([]byte("to the receiver"), 0), receiver.result(t))
	if s, err := q.Status(); err != nil || !s.Registered() {
		t.Fatalf("%+v, %v: the registration is used up", s, err)
	}

	waiting := receive(q, t.Context()) // in the poller
	parked(t, 1)
	must(t, q.TrySend([]byte("to the other"), 0), next(t, waiting))
	if ev := next(t, events); ev != mq.Arrived {
		t.Fatal(ev)
	}
}

func TestPollGoesOnInThePoller(t *testing.T) {
	q := newQueue(t, 1, 16)
	b, err := mq.OpenBlocking(q.Name(), os.O_RDWR, 0, nil)
	must(t, err)
	events := register(t, b)
	receiver := sleepingReceiver(t, b, nil)
	_, err = b.Poll()
	wantError(t, err, unix.EBUSY)
	must(t, q.TrySend(nil, 0), receiver.result(t))

	polling, err := b.Poll()
	must(t, err)
	defer polling.Close()
	wantError(t, b.Send(nil, 0), os.ErrClosed)
	wantError(t, b.Close(), os.ErrClosed)
	_, err = b.Poll()
	wantError(t, err, os.ErrClosed)
	if a, err := polling.Attr(); err != nil || !a.NonBlock || !registered(t, q) {
		t.Fatalf("%+v, %v: the registration stays with the descriptor", a, err)
	}
	done := receive(polling, t.Context())
	parked(t, 1)
	must(t, q.TrySend(nil, 0), next(t, done))
	want(t, events, mq.Arrived)
}

// In C the number of a closed descriptor may at once be another file's, and a call that comes late goes there.
func TestBlockingCloseWithCallersInside(t *testing.T) {
	q := newQueue(t, 1, 16)
	b, err := mq.OpenBlocking(q.Name(), os.O_RDWR, 0, nil)
	must(t, err)
	var number int
	must(t, b.Control(func(fd uintptr) { number = int(fd) }))
	events := make(chan mq.Event, 1)
	must(t, b.Notify(func(ev mq.Event) { events <- ev }))
	receiver := sleepingReceiver(t, b, nil)

	must(t, b.Close())
	if ev := next(t, events); ev != mq.Removed {
		t.Fatal(ev)
	}
	target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", number))
	if err != nil || strings.HasPrefix(target, q.Name()) {
		t.Fatalf("descriptor %d is %q, %v", number, target, err)
	}
	must(t, q.Notify(func(ev mq.Event) { events <- ev }))
	must(t, q.TrySend([]byte("x"), 0), receiver.result(t))
	eventually(t, "the number is free", func() bool {
		_, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0)
		return err == unix.EBADF
	})
	if s, err := q.Status(); err != nil || !s.Registered() {
		t.Fatalf("%+v, %v: the last caller took another's registration with it", s, err)
	}
	must(t, q.Unnotify())
	next(t, events)
}

func TestBlockingCloseAtAnyMoment(t *testing.T) {
	q := newQueue(t, 1, 16)
	for range 50 {
		b, err := mq.OpenBlocking(q.Name(), os.O_RDWR, 0, nil)
		must(t, err)
		ended := make(chan error)
		for range 3 {
			go func() {
				for {
					err := err2(b.TimedReceive(make([]byte, 16), &past))
					if !isErrno(err, unix.ETIMEDOUT) {
						ended <- err
						return
					}
					runtime.Gosched()
				}
			}()
		}
		runtime.Gosched()
		must(t, b.Close())
		for range 3 {
			wantError(t, next(t, ended), os.ErrClosed)
		}
	}
}

func TestBlockingCloseWithoutADescriptorToSpare(t *testing.T) {
	perform(t, actor("close without a descriptor to spare"))
}

func init() {
	parts["close without a descriptor to spare"] = func([]string) error {
		name := newName()
		q, err := create(name, &mq.Attr{MaxMsg: 1, MsgSize: 16})
		if err != nil {
			return err
		}
		defer mq.Unlink(name)
		b, err := mq.OpenBlocking(name, os.O_RDWR, 0, nil)
		if err != nil {
			return err
		}
		t := new(testing.T)
		receiver := sleepingReceiver(t, b, nil)
		var old unix.Rlimit
		unix.Getrlimit(unix.RLIMIT_NOFILE, &old)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: old.Max}); err != nil {
			return err
		}
		if err := b.Close(); err != nil {
			return err
		}
		if err := q.TrySend(nil, 0); err != nil {
			return err
		}
		return receiver.result(t)
	}
}
