package mq_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"daemonlab/lab/mq"
	"daemonlab/lab/parts"

	"golang.org/x/sys/unix"
)

var past = unix.Timespec{Sec: 1}

func sleepingReceiver(t testing.TB, b *mq.Blocking) thread {
	th := onThread(func() error { return err2(b.Receive(make([]byte, 16))) })
	th.asleep(t, unix.SYS_MQ_TIMEDRECEIVE)
	return th
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

// In C a closed descriptor's number may at once be another file's, and a late call reaches that file.
func TestBlockingCloseWithCallersInside(t *testing.T) {
	q := newQueue(t, 1, 16)
	b := newBlocking(t, q)
	var number int
	must(t, b.Control(func(fd uintptr) { number = int(fd) }))
	events := register(t, b)
	receiver := sleepingReceiver(t, b)

	must(t, b.Close())
	want(t, events, mq.Removed)
	target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", number))
	if err != nil || strings.HasPrefix(target, q.Name()) {
		t.Fatalf("descriptor %d is %q, %v", number, target, err)
	}
	events = register(t, q)
	must(t, q.TrySend([]byte("x"), 0), receiver.result(t))
	eventually(t, "the number is free", func() bool {
		_, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0)
		return err == unix.EBADF
	})
	if !registered(t, q) {
		t.Fatal("the last caller took another's registration with it")
	}
	must(t, q.Unnotify())
	want(t, events, mq.Removed)
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
					if !errors.Is(err, unix.ETIMEDOUT) {
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
	_, err := parts.Run("close without a descriptor to spare")
	must(t, err)
}

func init() {
	parts.Add("close without a descriptor to spare", func([]string) error {
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
		receiver := sleepingReceiver(t, b)
		return errors.Join(limit(unix.RLIMIT_NOFILE, 0), b.Close(), q.TrySend(nil, 0), receiver.result(t))
	})
}
