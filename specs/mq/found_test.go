package mq_test

import (
	"errors"
	"fmt"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/inside"
)

var _ = Describe("K2. What programs trip over: the C library's threads; registrations and signals", func() {
	DescribeTable("shown in C", performC,
		Entry("The C library starts a function of SIGEV_THREAD with an empty signal mask, whatever the program's threads block",
			row(141), "signal mask of a SIGEV_THREAD function"),
		Entry("So a SIGTERM that comes while the function runs ends a program that blocks it everywhere, when none waits for it",
			row(141), "SIGTERM meets a SIGEV_THREAD function"),
		Entry("The C library drops a notification without a word when it cannot start the thread: the message stays",
			row(142), "no room for a thread"),
		Entry("A slow function of SIGEV_THREAD holds back no other queue's; its thread is detached, with the default stack",
			row(148), "slow SIGEV_THREAD function"),
	)

	It("Who may only send to a queue may take its registration, and keep its owner out: EBUSY", row(143), func() {
		q := newQueue(1, 16)
		Expect(q.Chmod(0o622)).To(Succeed())
		stranger := startPeer(asOtherUser())
		fd := must(stranger.open(q.Name(), os.O_WRONLY))

		Expect(stranger.notify(fd, sigevNone)).To(Succeed())

		Expect(q.Notify(func(mq.Event) {})).To(MatchError(unix.EBUSY))
		Expect(q.Unnotify()).To(Succeed()) // does not help
		Expect(q.NotifyNone()).To(MatchError(unix.EBUSY))
	})

	// announce has two queues each announce a message by the same blocked signal, and returns the pending instances.
	announce := func(p *peer, signal unix.Signal) []siginfo {
		GinkgoHelper()
		var queues [2]int
		for i := range queues {
			q := newQueue(1, 16)
			fd := must(p.open(q.Name(), os.O_RDWR))
			must(p.do(order{Call: "notify", FD: fd, Notify: sigevSignal, Signal: int(signal), Value: uint64(i)}))
			queues[i] = fd
		}
		for _, fd := range queues {
			Expect(p.send(fd, "x")).To(Succeed())
			Expect(p.status(fd).NotifyPID).To(BeZero(), "it is used up")
		}
		return p.signals()
	}

	It("Two queues that announce a blocked signal give one standard signal, but two real-time signals", row(144),
		func() {
			p := startPeer()
			Expect(announce(p, unix.SIGUSR1)).To(HaveLen(1))
			Expect(announce(p, realTime)).To(HaveLen(2))
		})

	It("With RLIMIT_SIGPENDING at 0 a real-time signal is lost, and mq_send knows nothing of it", row(144), func() {
		p := startPeer()
		p.limit(unix.RLIMIT_SIGPENDING, 0)
		Expect(announce(p, realTime)).To(BeEmpty())
		Expect(announce(p, unix.SIGUSR1)).To(HaveLen(1))
	})
})

var _ = Describe("K2. What programs trip over: names, modes, limits", func() {
	It("A queue made with mode 0 gives its maker a descriptor that works, and the next who opens it EACCES", row(145), func() {
		name := newName()
		q := must(mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0, &mq.Attr{MaxMsg: 1, MsgSize: 16}))
		DeferCleanup(func() { mq.Unlink(name); q.Close() })

		Expect(q.TrySend([]byte("to myself"), 0)).To(Succeed())
		Expect(receive(q)).To(Equal("to myself"))
		Expect(inside.WithoutCapabilities(func() error {
			_, err := mq.Open(name, os.O_WRONLY, 0, nil)
			return err
		})).To(MatchError(unix.EACCES))
	})

	It("/proc/PID/fd shows a queue as its name, and as deleted once it is unlinked", row(146), func() {
		q := newQueue(1, 16)
		link := fmt.Sprintf("/proc/self/fd/%d", number(q))
		Expect(os.Readlink(link)).To(Equal(q.Name()))
		Expect(mq.Unlink(q.Name())).To(Succeed())
		Expect(os.Readlink(link)).To(Equal(q.Name() + " (deleted)"))
	})

	It("Lower limits leave the queues that exist as they are", row(147), func() {
		q := newQueue(2, 200)
		Expect(inside.SetLimit("fs/mqueue/msg_max", "1")).To(Succeed())
		Expect(inside.SetLimit("fs/mqueue/msgsize_max", "128")).To(Succeed())
		Expect(open(q.Name(), os.O_RDWR).Attr()).To(Equal(mq.Attr{MaxMsg: 2, MsgSize: 200, NonBlock: true}))
		for range 2 {
			Expect(q.TrySend(make([]byte, 200), 0)).To(Succeed())
		}
	})

	It("Without CAP_SYS_RESOURCE msg_max and msgsize_max bind, EINVAL, and so does queues_max: ENOSPC", row(149), func() {
		make := func(maxMsg, msgSize int) error {
			return inside.WithoutCapabilities(func() error {
				name := newName()
				q, err := mq.Open(name, newOne, 0o600, &mq.Attr{MaxMsg: maxMsg, MsgSize: msgSize})
				if err == nil {
					err = errors.Join(mq.Unlink(name), q.Close())
				}
				return err
			})
		}
		Expect(inside.SetLimit("fs/mqueue/msg_max", "2")).To(Succeed())
		Expect(inside.SetLimit("fs/mqueue/msgsize_max", "128")).To(Succeed())
		Expect(make(2, 128)).To(Succeed())
		Expect(make(3, 128)).To(MatchError(unix.EINVAL))
		Expect(make(2, 129)).To(MatchError(unix.EINVAL))

		Expect(inside.SetLimit("fs/mqueue/queues_max", "0")).To(Succeed())
		Expect(make(2, 128)).To(MatchError(unix.ENOSPC))
	})
})
