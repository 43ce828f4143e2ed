package mq_test

import (
	"os"
	"reflect"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
)

var _ = Describe("D. mq_getattr, mq_setattr: what can be set; what else is told", func() {
	It("mq_getattr tells O_NONBLOCK, the shape that the queue was made with, and the messages it holds", row(9, 56),
		func() {
			q := newQueue(3, 100)
			b := openBlocking(q.Name(), os.O_RDWR)
			Expect(q.Attr()).To(Equal(mq.Attr{MaxMsg: 3, MsgSize: 100, CurMsgs: 0, NonBlock: true}))
			Expect(q.TrySend(nil, 0)).To(Succeed())
			Expect(b.Attr()).To(Equal(mq.Attr{MaxMsg: 3, MsgSize: 100, CurMsgs: 1, NonBlock: false}))
		})

	It("mq_setattr sets and clears O_NONBLOCK, and mq_send and mq_receive obey: EAGAIN", row(57), func() {
		b := openBlocking(newQueue(1, 16).Name(), os.O_RDWR)

		must(b.SetAttr(mq.Attr{NonBlock: true}))
		Expect(b.Attr()).To(HaveField("NonBlock", true))
		Expect(b.Receive(make([]byte, 16))).Error().To(MatchError(unix.EAGAIN))
		Expect(b.Send([]byte("fills it"), 0)).To(Succeed())
		Expect(b.Send([]byte("no room"), 0)).To(MatchError(unix.EAGAIN))

		must(b.SetAttr(mq.Attr{}))
		Expect(b.Attr()).To(HaveField("NonBlock", false))
		sender := sleepingSender(b, "waits", 0)
		receive(open(b.Name(), os.O_RDONLY))
		Expect(sender.Result()).To(Succeed())
	})

	It("mq_setattr cannot change the shape of a queue nor the number of its messages", row(58), func() {
		b := openBlocking(newQueue(2, 16).Name(), os.O_RDWR)
		must(b.SetAttr(mq.Attr{MaxMsg: 7, MsgSize: 7, CurMsgs: 7}))
		Expect(rawGetSetAttr(number(b), &mqAttr{maxMsg: 7, msgSize: 7, curMsgs: 7}, nil)).To(Succeed())
		Expect(b.Attr()).To(Equal(mq.Attr{MaxMsg: 2, MsgSize: 16}))
	})

	It("mq_setattr returns what mq_getattr would have said before", row(59), func() {
		b := openBlocking(newQueue(2, 16).Name(), os.O_RDWR)
		Expect(b.Send(nil, 0)).To(Succeed())
		before := must(b.Attr())
		Expect(b.SetAttr(mq.Attr{NonBlock: true})).To(Equal(before))
	})

	It("mq_setattr knows no other flag than O_NONBLOCK: EINVAL", row(60), func() {
		fd := number(newQueue(1, 16))
		Expect(rawGetSetAttr(fd, &mqAttr{flags: unix.O_NONBLOCK | unix.O_APPEND}, nil)).To(MatchError(unix.EINVAL))
		Expect(rawGetSetAttr(fd, &mqAttr{flags: os.O_RDWR}, nil)).To(MatchError(unix.EINVAL))
	})

	It("mq_getattr and mq_setattr want a descriptor of a queue, EBADF; one that can only send will do", row(61), func() {
		var attr mqAttr
		Expect(rawGetSetAttr(-1, nil, &attr)).To(MatchError(unix.EBADF))
		Expect(rawGetSetAttr(-1, &attr, nil)).To(MatchError(unix.EBADF))
		Expect(rawGetSetAttr(newMailbox().fd, nil, &attr)).To(MatchError(unix.EBADF))
		Expect(rawGetSetAttr(number(open(newQueue(1, 16).Name(), os.O_WRONLY)), nil, &attr)).To(Succeed())
		Expect(attr.maxMsg).To(Equal(1))
	})

	It("struct mq_attr is eight longs, of which the kernel makes the last four zero", row(62), func() {
		Expect(reflect.TypeFor[mqAttr]().Size()).To(Equal(8 * reflect.TypeFor[int]().Size()))
		attr := mqAttr{reserved: [4]int{1, 2, 3, 4}}
		Expect(rawGetSetAttr(number(newQueue(1, 16)), nil, &attr)).To(Succeed())
		Expect(attr.reserved).To(Equal([4]int{}))
	})

	It("struct sigevent is 64 bytes to mq_notify: EFAULT when the last is not there", row(62), func() {
		fd := number(newQueue(1, 16))
		Expect(notifyAtTheEdge(fd, 63)).To(MatchError(unix.EFAULT))
		Expect(notifyAtTheEdge(fd, 64)).To(Succeed())
	})
})
