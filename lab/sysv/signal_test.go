package sysv_test

import (
	"fmt"
	"os"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
)

// catch counts a signal and lets it interrupt system calls. The handler has SA_RESTART, as all of Go's have.
func catch(t *testing.T, sig os.Signal) <-chan os.Signal {
	caught := make(chan os.Signal, 100)
	signal.Notify(caught, sig)
	t.Cleanup(func() { signal.Stop(caught) })
	return caught
}

func TestWaitingGoesOnAfterASignal(t *testing.T) {
	caught := catch(t, unix.SIGUSR1)
	q := newQueue(t)
	buf := make([]byte, 10)
	th := onThread(func() error {
		_, _, err := q.Receive(buf, 0, 0)
		return err
	})
	for range 20 {
		th.asleep(t, unix.SYS_MSGRCV)
		must(t, unix.Tgkill(os.Getpid(), th.tid, unix.SIGUSR1))
		next(t, caught)
	}
	must(t, q.Send(1, []byte("x"), 0), next(t, th.done))
}

func TestSendingGoesOnAfterASignal(t *testing.T) {
	caught := catch(t, unix.SIGUSR1)
	q := newQueue(t)
	fill(t, q)
	th := onThread(func() error { return q.Send(7, make([]byte, 100), 0) })
	for range 20 {
		th.asleep(t, unix.SYS_MSGSND)
		must(t, unix.Tgkill(os.Getpid(), th.tid, unix.SIGUSR1))
		next(t, caught)
	}
	_, _, err := q.Receive(make([]byte, 100), 0, 0)
	must(t, err, next(t, th.done))
	if _, mtype, err := q.Receive(make([]byte, 100), 7, sysv.NoWait); err != nil || mtype != 7 {
		t.Errorf("got type %d, %v", mtype, err)
	}
}

func TestInterruptible(t *testing.T) {
	catch(t, unix.SIGUSR1)
	q := newQueue(t)
	th := onThread(func() error {
		_, _, err := q.Receive(nil, 0, sysv.Interruptible)
		return err
	})
	th.asleep(t, unix.SYS_MSGRCV)
	must(t, unix.Tgkill(os.Getpid(), th.tid, unix.SIGUSR1))
	wantError(t, next(t, th.done), unix.EINTR, fmt.Sprintf("queue %v: msgrcv: interrupted system call", q))
}
