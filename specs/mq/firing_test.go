package mq_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/procfs"
	"daemonlab/specs/inside"
)

// siMesgq is SI_MESGQ of <signal.h>.
const siMesgq = -3

var _ = Describe("I. mq_notify: firing: one message, one notification; who gets the message", func() {
	It("A registration is good for one notification; the process may register again at once", row(113), func() {
		q := newQueue(1, 16)
		events := register(q)
		Expect(q.TrySend(nil, 0)).To(Succeed())
		Eventually(events).Should(Receive(Equal(mq.Arrived)))
		receive(q)

		Expect(q.TrySend(nil, 0)).To(Succeed()) // nobody is registered
		receive(q)
		again := register(q)
		Expect(q.TrySend(nil, 0)).To(Succeed())

		Eventually(again).Should(Receive(Equal(mq.Arrived)))
		Expect(events).To(BeEmpty())
	})

	It("mq_notify tells the process of the next message to the empty queue, and of no other", row(100, 114), func() {
		q := newQueue(3, 16)
		events := register(q)
		Expect(q.TrySend([]byte("first"), 0)).To(Succeed())
		Eventually(events).Should(Receive(Equal(mq.Arrived)))
		register(q)
		Expect(q.TrySend([]byte("second"), 0)).To(Succeed())
		Expect(registered(q)).To(BeTrue())
	})

	It("A receiver that sleeps in mq_receive gets the message, and nobody is notified", row(115), func() {
		q := newQueue(1, 16)
		register(q)
		receiver, got := sleepingReceiver(openBlocking(q.Name(), os.O_RDONLY))
		Expect(q.TrySend([]byte("for the sleeper"), 0)).To(Succeed())
		Expect(registered(q)).To(BeTrue())
		Expect(receiver.Result()).To(Succeed())
		Expect(*got).To(Equal("for the sleeper"))
	})

	It("Who waits with poll or epoll, as goroutines do, does not hold back the notification", row(116), func() {
		q := newQueue(1, 16)
		events := register(q)
		polled := make(chan error)
		go func() { _, _, err := q.Receive(context.Background(), make([]byte, 16)); polled <- err }()
		parked(1)

		Expect(q.TrySend(nil, 0)).To(Succeed())

		Eventually(polled).Should(Receive(Succeed()))
		Eventually(events).Should(Receive(Equal(mq.Arrived)))
	})

	It("A sleeping sender's message that slides in when the last one is taken is not announced", row(117), func() {
		b := fullQueue()
		events := register(b)
		sender := sleepingSender(b, "slides in", 0)

		receive(b)

		Expect(sender.Result()).To(Succeed())
		Expect(registered(b)).To(BeTrue())
		receive(b)
		Expect(b.Send([]byte("to an empty one"), 0)).To(Succeed())
		Eventually(events).Should(Receive(Equal(mq.Arrived)))
	})
})

var _ = Describe("I. mq_notify: firing: signals; cookies; too late, or too little", func() {
	It("SIGEV_SIGNAL brings SI_MESGQ, the value and the sender's PID and UID before mq_send returns", row(118), func() {
		q := newQueue(1, 16)
		other, fd := peerWith(q, os.O_RDWR)
		Expect(other.notify(fd, sigevSignal)).To(Succeed())

		Expect(q.TrySend(nil, 0)).To(Succeed())

		status := must(procfs.New("/proc").Process(other.pid()).Status())
		Expect(status.ShdPnd.Has(unix.SIGUSR1)).To(BeTrue(), "for any of its threads")
		Expect(other.signals()).To(Equal([]siginfo{
			{Signo: int(unix.SIGUSR1), Code: siMesgq, PID: os.Getpid(), UID: os.Getuid(), Value: 42},
		}))
	})

	It("SIGEV_SIGNAL asks no permission: the sender may be a user who may not signal the process", row(118), func() {
		q := newQueue(1, 16)
		Expect(q.Chmod(0o622)).To(Succeed())
		owner, stranger := startPeer(), startPeer(asOtherUser())
		fd := must(owner.open(q.Name(), os.O_RDWR))
		Expect(owner.notify(fd, sigevSignal)).To(Succeed())
		Expect(stranger.do(order{Call: "kill", FD: owner.pid()})).Error().To(MatchError(unix.EPERM))

		fd = must(stranger.open(q.Name(), os.O_WRONLY))
		Expect(stranger.send(fd, "hello")).To(Succeed())

		Expect(owner.signals()).To(Equal([]siginfo{
			{Signo: int(unix.SIGUSR1), Code: siMesgq, PID: stranger.pid(), UID: inside.OtherUser, Value: 42},
		}))
	})

	It("SIGEV_THREAD: the kernel puts 32 bytes without a header on the socket, which needs no address", row(119), func() {
		q, box := announced()
		Expect(q.TrySend(nil, 0)).To(Succeed())
		buf := make([]byte, 64)

		n, from, err := unix.Recvfrom(box.fd, buf, 0)

		Expect(err).NotTo(HaveOccurred())
		Expect(buf[:n]).To(HaveLen(32))
		Expect(from).To(Equal(&unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: 0}))
		Expect(listed(box.fd)).To(BeFalse(), "in /proc/net/netlink")
	})

	It("A message that comes between the drain and a registration made too late lies there unannounced", row(121), func() {
		q := newQueue(3, 16)
		events := register(q)
		Expect(q.TrySend([]byte("first"), 0)).To(Succeed())
		Eventually(events).Should(Receive(Equal(mq.Arrived)))

		receive(q)
		Expect(receiveError(q)).To(MatchError(unix.EAGAIN)) // drained
		Expect(q.TrySend([]byte("lost"), 0)).To(Succeed())
		events = register(q) // too late

		Expect(q.TrySend([]byte("lost too"), 0)).To(Succeed())
		Expect(registered(q)).To(BeTrue())
		Expect(events).To(BeEmpty())
		Expect(curMsgs(q)).To(Equal(2))
	})
})

var _ = Describe("I. mq_notify: firing: in time", func() {
	It("Who registers again before he drains may be told of a message that he has drained already", row(122), func() {
		q := newQueue(2, 16)
		events := register(q)
		Expect(q.TrySend([]byte("first"), 0)).To(Succeed())
		Eventually(events).Should(Receive(Equal(mq.Arrived)))

		again := register(q)
		receive(q)
		Expect(q.TrySend([]byte("in between"), 0)).To(Succeed())
		Expect(receive(q)).To(Equal("in between")) // still the same drain

		Eventually(again).Should(Receive(Equal(mq.Arrived)))
		Expect(receiveError(q)).To(MatchError(unix.EAGAIN), "nothing is left for the second notification")
	})

	It("Who registers again may be notified again while he still handles the first notification", row(122), func() {
		q := newQueue(2, 16)
		second, firstEnds := make(chan mq.Event), make(chan bool)
		Expect(q.Notify(func(mq.Event) {
			q.Notify(func(ev mq.Event) { second <- ev })
			receiveError(q)
			q.TrySend([]byte("to an empty one"), 0)
			<-firstEnds
		})).To(Succeed())
		Expect(q.TrySend(nil, 0)).To(Succeed())

		Eventually(second).Should(Receive(Equal(mq.Arrived)))
		firstEnds <- true
	})

	It("Who takes one message a notification leaves the rest of a burst unannounced for ever", row(123), func() {
		q := newQueue(2, 16)
		events := register(q)
		Expect(q.TrySend([]byte("one"), 0)).To(Succeed())
		Expect(q.TrySend([]byte("two"), 0)).To(Succeed())
		Eventually(events).Should(Receive(Equal(mq.Arrived)))

		register(q)
		Expect(receive(q)).To(Equal("one"))

		Expect(registered(q)).To(BeTrue(), "and silent, with a message in the queue")
		Expect(curMsgs(q)).To(Equal(1))
		Expect(q.TrySend([]byte("three"), 0)).To(Succeed())
		Expect(registered(q)).To(BeTrue(), "for ever")
	})
})

var _ = Describe("I. mq_notify: firing: other circumstances", func() {
	It("A notification may be read after the queue is closed; neither the close nor NULL adds a second", row(124), func() {
		q, box := announced()
		Expect(q.TrySend(nil, 0)).To(Succeed())
		Expect(q.Unnotify()).To(Succeed())
		Expect(q.Close()).To(Succeed())
		Expect(box.cookies()).To(Equal([]cookie{woken(1)}))
	})

	It("An unlinked queue notifies as before", row(125), func() {
		q := newQueue(1, 16)
		Expect(mq.Unlink(q.Name())).To(Succeed())
		events := register(q)
		Expect(q.TrySend(nil, 0)).To(Succeed())
		Eventually(events).Should(Receive(Equal(mq.Arrived)))
	})

	It("A process is notified of its own message as of others'", row(126), func() {
		q := newQueue(1, 16)
		other, fd := peerWith(q, os.O_WRONLY)

		events := register(q)
		Expect(q.TrySend(nil, 0)).To(Succeed())
		Eventually(events).Should(Receive(Equal(mq.Arrived)))
		receive(q)

		events = register(q)
		Expect(other.send(fd, "hello")).To(Succeed())
		Eventually(events).Should(Receive(Equal(mq.Arrived)))
	})
})

// listed reports whether /proc/net/netlink lists the socket, by inode.
func listed(socket int) bool {
	GinkgoHelper()
	var st unix.Stat_t
	Expect(unix.Fstat(socket, &st)).To(Succeed())
	list := must(os.ReadFile("/proc/net/netlink"))
	inode := fmt.Sprint(st.Ino)
	for line := range strings.Lines(string(list)) {
		if fields := strings.Fields(line); fields[len(fields)-1] == inode {
			return true
		}
	}
	return false
}
