package mq_test

import (
	"bytes"
	"os"
	"os/signal"
	"runtime"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/inside"
)

// onThread calls f on a thread that ends afterwards, so f may change the thread's attributes.
func onThread(f func() error) error { return inside.StartThread(f).Result() }

// sleepingReceiver is a thread asleep in mq_receive.
func sleepingReceiver(b *mq.Blocking) (inside.Thread, *string) {
	GinkgoHelper()
	got := new(string)
	return inside.StartAsleep(unix.SYS_MQ_TIMEDRECEIVE, func() error {
		buf := make([]byte, 64)
		n, _, err := b.Receive(buf)
		*got = string(buf[:n])
		return err
	}), got
}

// sleepingSender is a thread asleep in mq_send.
func sleepingSender(b *mq.Blocking, text string, prio uint) inside.Thread {
	GinkgoHelper()
	return inside.StartAsleep(unix.SYS_MQ_TIMEDSEND, func() error { return b.Send([]byte(text), prio) })
}

// parked waits until this many goroutines wait for a queue in Go's poller.
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

// catch delivers SIGUSR2 to a channel, by a handler with or without SA_RESTART.
func catch(restart bool) <-chan os.Signal {
	GinkgoHelper()
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGUSR2)
	Expect(setRestart(unix.SIGUSR2, restart)).To(Succeed())
	DeferCleanup(func() {
		setRestart(unix.SIGUSR2, true)
		signal.Stop(caught)
	})
	return caught
}
