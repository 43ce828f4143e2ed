package mq_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
)

// thread is a thread that calls a function and ends.
type thread struct {
	tid  int
	done chan error
}

func startThread(f func() error) thread {
	tid, done := make(chan int), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocks: so the thread ends with the goroutine
		tid <- unix.Gettid()
		done <- f()
	}()
	return thread{<-tid, done}
}

// onThread calls a function on a thread that nobody uses afterwards, so it may change what belongs to the thread.
func onThread(f func() error) error { return <-startThread(f).done }

// withoutCapabilities calls a function as an ordinary user would.
func withoutCapabilities(f func() error) error {
	return onThread(func() error { return errors.Join(clearCapabilities(), f()) })
}

// asleepIn waits until the thread sleeps in a system call.
func (th thread) asleepIn(call int) {
	GinkgoHelper()
	Eventually(sleepsIn).WithArguments(fmt.Sprintf("/proc/self/task/%d", th.tid), call).Should(BeTrue())
}

func sleepsIn(proc string, call int) (bool, error) {
	line, err := os.ReadFile(proc + "/syscall")
	return strings.HasPrefix(string(line), fmt.Sprint(call, " ")), err
}

// result waits for what the function has returned.
func (th thread) result() error {
	GinkgoHelper()
	var err error
	Eventually(th.done).Should(Receive(&err))
	return err
}

// sleepingReceiver is a thread that sleeps in mq_receive.
func sleepingReceiver(b *mq.Blocking) (thread, *string) {
	GinkgoHelper()
	got := new(string)
	th := startThread(func() error {
		buf := make([]byte, 64)
		n, _, err := b.Receive(buf)
		*got = string(buf[:n])
		return err
	})
	th.asleepIn(unix.SYS_MQ_TIMEDRECEIVE)
	return th, got
}

// sleepingSender is a thread that sleeps in mq_send.
func sleepingSender(b *mq.Blocking, text string, prio uint) thread {
	GinkgoHelper()
	th := startThread(func() error { return b.Send([]byte(text), prio) })
	th.asleepIn(unix.SYS_MQ_TIMEDSEND)
	return th
}

// parked waits until so many goroutines wait for a queue in Go's poller.
func parked(n int) {
	GinkgoHelper()
	stacks := make([]byte, 1<<20)
	Eventually(func() (waiting int) {
		for g := range bytes.SplitSeq(stacks[:runtime.Stack(stacks, true)], []byte("\n\n")) {
			head, _, _ := bytes.Cut(g, []byte("\n"))
			if bytes.Contains(head, []byte("[IO wait")) && bytes.Contains(g, []byte("lab/mq.(*Queue).")) {
				waiting++
			}
		}
		return waiting
	}).Should(Equal(n))
}

// catch has a signal come to a channel, by a handler with SA_RESTART or without.
func catch(sig syscall.Signal, restart bool) <-chan os.Signal {
	GinkgoHelper()
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, sig)
	Expect(setRestart(sig, restart)).To(Succeed())
	DeferCleanup(func() {
		setRestart(sig, true)
		signal.Stop(caught)
	})
	return caught
}

func (th thread) signal(sig syscall.Signal) {
	GinkgoHelper()
	Expect(unix.Tgkill(os.Getpid(), th.tid, sig)).To(Succeed())
}
