package mq_test

import (
	"cmp"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/inside"
)

// fullQueue returns a full queue, opened blocking.
func fullQueue() *mq.Blocking {
	GinkgoHelper()
	b := openBlocking(newQueue(1, 16).Name(), os.O_RDWR)
	Expect(b.Send([]byte("fills it"), 0)).To(Succeed())
	return b
}

// fromNow returns an absolute time.
func fromNow(d time.Duration) unix.Timespec { return must(unix.TimeToTimespec(time.Now().Add(d))) }

// wrongTimes are invalid timespecs.
var wrongTimes = []unix.Timespec{{Sec: 1, Nsec: -1}, {Sec: 1, Nsec: 1e9}, {Sec: -1}}

var _ = Describe("E. mq_send, mq_timedsend: messages", func() {
	It("mq_send sends any bytes as they are; no bytes are a message too", row(63), func() {
		q := newQueue(2, 16)
		Expect(q.TrySend([]byte("a\x00b\xff"), 0)).To(Succeed())
		Expect(q.TrySend(nil, 0)).To(Succeed())
		Expect(receive(q)).To(Equal("a\x00b\xff"))
		Expect(receive(q)).To(BeEmpty())
	})

	It("A message longer than mq_msgsize is refused, and nothing is queued: EMSGSIZE", row(64), func() {
		q := newQueue(1, 16)
		Expect(q.TrySend(make([]byte, 17), 0)).To(MatchError(unix.EMSGSIZE))
		Expect(curMsgs(q)).To(Equal(0))
		Expect(q.TrySend(make([]byte, 16), 0)).To(Succeed())
	})

	It("The message of the highest priority is received first, and of equal ones that sent first", row(65, 66), func() {
		q := newQueue(4, 16)
		for i, prio := range []uint{1, 5, 0, 5} {
			Expect(q.TrySend([]byte{byte(i)}, prio)).To(Succeed())
		}
		Expect(receive(q) + receive(q) + receive(q) + receive(q)).To(Equal("\x01\x03\x00\x02"))
	})

	It("Priorities go up to 32,767: EINVAL", row(67), func() {
		q := newQueue(1, 16)
		Expect(q.TrySend(nil, 32768)).To(MatchError(unix.EINVAL))
		Expect(q.TrySend(nil, 1<<32)).To(MatchError(unix.EINVAL))
		Expect(q.TrySend(nil, 32767)).To(Succeed())
	})
})

var _ = Describe("E. mq_send, mq_timedsend: waiting for room", func() {
	It("mq_send sleeps while the queue is full, until there is room", row(68), func() {
		b := fullQueue()
		sender := sleepingSender(b, "waits", 0)
		Expect(receive(b)).To(Equal("fills it"))
		Expect(sender.Result()).To(Succeed())
		Expect(receive(b)).To(Equal("waits"))
	})

	It("A signal handled without SA_RESTART ends a sleeping mq_send: EINTR", row(69), func() {
		catch(false)
		b := fullQueue()
		sender := sleepingSender(b, "waits", 0)
		sender.Signal(unix.SIGUSR2)
		Expect(sender.Result()).To(MatchError(unix.EINTR))
	})

	It("A signal handled with SA_RESTART, as all are in Go, does not end a sleeping mq_send", row(69), func() {
		caught := catch(true)
		b := fullQueue()
		sender := sleepingSender(b, "waits", 0)
		sender.Signal(unix.SIGUSR2)
		Eventually(caught).Should(Receive())
		Expect(receive(b)).To(Equal("fills it"))
		Expect(sender.Result()).To(Succeed())
	})

	It("With O_NONBLOCK mq_send never waits, whatever the deadline, and queues nothing: EAGAIN", row(70), func() {
		b := fullQueue()
		must(b.SetAttr(mq.Attr{NonBlock: true}))
		for _, deadline := range []*unix.Timespec{nil, &past, &timeMax} {
			Expect(b.TimedSend([]byte("no room"), 0, deadline)).To(MatchError(unix.EAGAIN))
		}
		Expect(curMsgs(b)).To(Equal(1))
	})
})

var _ = Describe("E. mq_send, mq_timedsend: who may send, and who first; deadlines", func() {
	It("mq_send wants a descriptor of a queue that can send: EBADF", row(71), func() {
		Expect(rawSend(-1, nil, nil)).To(MatchError(unix.EBADF))
		Expect(rawSend(newMailbox().fd, nil, nil)).To(MatchError(unix.EBADF))
		Expect(rawSend(number(open(newQueue(1, 16).Name(), os.O_RDONLY)), nil, nil)).To(MatchError(unix.EBADF))
	})

	It("Of several sleeping senders the one goes first that has waited longest", row(72), func() {
		b := fullQueue()
		first := sleepingSender(b, "first", 0)
		second := sleepingSender(b, "second", 9) // the message's priority does not help its sender
		receive(b)
		Expect(first.Result()).To(Succeed())
		Expect(receive(b)).To(Equal("first"))
		Expect(second.Result()).To(Succeed())
	})

	It("A sleeping sender of higher thread priority goes before one that has waited longer", row(72), func() {
		b := fullQueue()
		patient := inside.StartAsleep(unix.SYS_MQ_TIMEDSEND, func() error {
			return cmp.Or(lowerPriority(), b.Send([]byte("patient"), 0))
		})
		important := sleepingSender(b, "important", 0)
		receive(b)
		Expect(important.Result()).To(Succeed())
		Expect(receive(b)).To(Equal("important"))
		Expect(patient.Result()).To(Succeed())
	})

	It("mq_timedsend gives up at its deadline, an absolute time of CLOCK_REALTIME: ETIMEDOUT", row(73), func() {
		b, deadline := fullQueue(), fromNow(10*time.Millisecond)
		Expect(b.TimedSend(nil, 0, &deadline)).To(MatchError(unix.ETIMEDOUT))
		Expect(time.Now()).NotTo(BeTemporally("<", time.Unix(deadline.Unix())))
	})

	It("mq_timedsend with a deadline that is past sends if there is room, else gives up: ETIMEDOUT", row(74), func() {
		b := fullQueue()
		Expect(b.TimedSend(nil, 0, &past)).To(MatchError(unix.ETIMEDOUT))
		receive(b)
		Expect(b.TimedSend(nil, 0, &past)).To(Succeed())
	})

	It("mq_timedsend refuses a deadline that is no time before it looks at anything else: EINVAL", row(75), func() {
		b := openBlocking(newQueue(1, 16).Name(), os.O_RDWR)
		for _, deadline := range wrongTimes {
			Expect(b.TimedSend(nil, 0, &deadline)).To(MatchError(unix.EINVAL), "with room")
			Expect(rawSend(-1, nil, &deadline)).To(MatchError(unix.EINVAL), "before EBADF")
		}
		Expect(curMsgs(b)).To(Equal(0))
	})

	It("TIME_T_MAX is a deadline that never comes", row(76), func() {
		b := fullQueue()
		sender := inside.StartAsleep(unix.SYS_MQ_TIMEDSEND, func() error { return b.TimedSend([]byte("waits"), 0, &timeMax) })
		receive(b)
		Expect(sender.Result()).To(Succeed())
	})
})

var _ = Describe("E. mq_send, mq_timedsend: checks", func() {
	It("mq_timedsend checks time, priority, descriptor, length, buffer and room in this order", row(77), func() {
		b := fullQueue()
		must(b.SetAttr(mq.Attr{NonBlock: true}))
		fd := number(b)
		const long, badPrio = 17, 1 << 15

		Expect(rawSend(-1, nil, &wrongTimes[0])).To(MatchError(unix.EINVAL), "time before descriptor")
		Expect(sendFrom(-1, badPointer, long, badPrio, 0)).To(MatchError(unix.EINVAL), "priority before descriptor")
		Expect(sendFrom(-1, badPointer, long, 0, 0)).To(MatchError(unix.EBADF), "descriptor before length")
		Expect(sendFrom(fd, badPointer, long, 0, 0)).To(MatchError(unix.EMSGSIZE), "length before buffer")
		Expect(sendFrom(fd, badPointer, 1, 0, 0)).To(MatchError(unix.EFAULT), "buffer before room")
		Expect(b.Send([]byte("x"), 0)).To(MatchError(unix.EAGAIN), "room")
	})

	It("mq_timedsend must be able to read the message and the deadline: EFAULT", row(78), func() {
		b := openBlocking(newQueue(1, 16).Name(), os.O_RDWR)
		fd := number(b)
		Expect(sendFrom(fd, badPointer, 1, 0, 0)).To(MatchError(unix.EFAULT))
		Expect(sendFrom(fd, 0, 0, 0, badPointer)).To(MatchError(unix.EFAULT))
		Expect(curMsgs(b)).To(Equal(0))
	})
})

// lowerPriority raises the calling thread's nice value for good, even when all threads were started under nice(1).
func lowerPriority() error { return unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19) }
