package sysv_test

import (
	"os"
	"os/signal"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/sysv"
)

var _ = Describe("waiting", func() {
	It("does not wait with IPC_NOWAIT, said at each call; O_NONBLOCK belongs to the open queue", func() {
		q, p := newSysV(), newPOSIX()
		Expect(noMessage(q, 0, 0)).To(MatchError(unix.ENOMSG))
		receiver := sleepingReceiver(q, 0)
		send(q, message{1, ""})
		Expect(receiver.result()).To(Succeed())

		second, err := mq.OpenBlocking(p.Name(), os.O_RDWR, 0, nil)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(second.Close)
		_, err = second.SetAttr(mq.Attr{NonBlock: true})
		Expect(err).NotTo(HaveOccurred())
		_, _, err = second.Receive(make([]byte, 64))
		Expect(err).To(MatchError(unix.EAGAIN))
		waiting := sleepingMQReceiver(p)
		post(p, message{1, ""})
		Expect(waiting.result()).To(Succeed())
	})

	It("says ENOMSG for an empty queue and EAGAIN for a full one; a POSIX queue says EAGAIN for both", func() {
		q, p := newSysV(), newPOSIX()
		setBytes(q, 10)
		Expect(noMessage(q, 0, 0)).To(MatchError(unix.ENOMSG))
		send(q, message{1, "0123456789"})
		Expect(q.Send(1, []byte("x"), sysv.NoWait)).To(MatchError(unix.EAGAIN))
		_, err := p.SetAttr(mq.Attr{NonBlock: true})
		Expect(err).NotTo(HaveOccurred())
		_, _, err = p.Receive(make([]byte, 64))
		Expect(err).To(MatchError(unix.EAGAIN))
		for range 4 {
			Expect(p.Send(nil, 0)).To(Succeed())
		}
		Expect(p.Send(nil, 0)).To(MatchError(unix.EAGAIN))
	})

	It("has no timeout: what ends a wait is a message, a signal or the removal; mq_timedreceive has a deadline", func() {
		q, p := newSysV(), newPOSIX()
		catch(unix.SIGWINCH)
		signalled := sleepingReceiver(q, sysv.Interruptible)
		signalled.signal(unix.SIGWINCH)
		Expect(signalled.result()).To(MatchError(unix.EINTR))
		served := sleepingReceiver(q, 0)
		send(q, message{1, ""})
		Expect(served.result()).To(Succeed())
		removed := sleepingReceiver(q, 0)
		remove(q)
		Expect(removed.result()).To(MatchError(unix.EIDRM))

		soon, err := unix.TimeToTimespec(time.Now().Add(time.Millisecond))
		Expect(err).NotTo(HaveOccurred())
		_, _, err = p.TimedReceive(make([]byte, 64), &soon)
		Expect(err).To(MatchError(unix.ETIMEDOUT))
	})

	It("ends with EINTR after every signal handler; mq_receive waits on if the handler has SA_RESTART", func() {
		q, p := newSysV(), newPOSIX()
		caught := catch(unix.SIGWINCH) // Go's handlers have SA_RESTART
		interrupted, restarted := sleepingReceiver(q, sysv.Interruptible), sleepingMQReceiver(p)
		interrupted.signal(unix.SIGWINCH)
		Eventually(caught).Should(Receive())
		Expect(interrupted.result()).To(MatchError(unix.EINTR))
		restarted.signal(unix.SIGWINCH)
		Eventually(caught).Should(Receive())
		restarted.asleepIn(unix.SYS_MQ_TIMEDRECEIVE)
		post(p, message{1, ""})
		Expect(restarted.result()).To(Succeed())
	})

	It("needs no descriptor, so poll(2) cannot wait for it; a POSIX queue is a descriptor", func() {
		Expect(perform("without descriptors")).To(Equal("msgget: <nil>\nmq_open: too many open files\n"))
		p := newPOSIX()
		var fds []unix.PollFd
		Expect(p.Control(func(fd uintptr) { fds = []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} })).To(Succeed())
		Expect(unix.Poll(fds, 0)).To(BeZero())
		post(p, message{1, ""})
		Expect(unix.Poll(fds, 0)).To(Equal(1))
	})

	It("takes a thread to wait for; mq_notify tells a process that does something else", func() {
		q, p := newSysV(), newPOSIX()
		receiver := sleepingReceiver(q, 0) // there is no other way to know
		send(q, message{1, ""})
		Expect(receiver.result()).To(Succeed())

		events := make(chan mq.Event, 1)
		Expect(p.Notify(func(e mq.Event) { events <- e })).To(Succeed())
		post(p, message{1, ""})
		Eventually(events).Should(Receive(Equal(mq.Arrived)))
	})
})

// catch has a signal come to a channel.
func catch(sig os.Signal) <-chan os.Signal {
	caught := make(chan os.Signal, 10)
	signal.Notify(caught, sig)
	DeferCleanup(signal.Stop, caught)
	return caught
}

func (th thread) signal(sig unix.Signal) {
	GinkgoHelper()
	Expect(unix.Tgkill(os.Getpid(), th.tid, sig)).To(Succeed())
}

func init() {
	parts["without descriptors"] = func([]string) error {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		limit.Cur = 0
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		return makeOneOfEach()
	}
}
