package sysv_test

import (
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/sysv"
)

var _ = Describe("lengths and limits", func() {
	text := strings.Repeat("x", 60)

	It("cuts a message to the buffer with MSG_NOERROR and leaves it with E2BIG; mq_receive wants room for the longest", func() {
		q, p := newSysV(), newPOSIX()
		send(q, message{1, text})
		_, _, err := q.Receive(make([]byte, 59), 0, 0)
		Expect(err).To(MatchError(unix.E2BIG))
		n, _, err := q.Receive(make([]byte, 10), 0, sysv.NoError)
		Expect(n, err).To(Equal(10))
		Expect(status(q).Messages).To(BeZero(), "the rest is lost")

		post(p, message{1, "x"})
		_, _, err = p.TimedReceive(make([]byte, 63), &past)
		Expect(err).To(MatchError(unix.EMSGSIZE), "mq_msgsize is 64, the message has 1 byte")
	})

	It("counts the text only: struct msgbuf's type is not part of msgsz", func() {
		q := newSysV()
		send(q, message{1, text})
		Expect(status(q).Bytes).To(Equal(len(text)))
		Expect(take(q, 0, 0).text).To(Equal(text))
	})

	It("takes empty messages, as a POSIX queue does", func() {
		q, p := newSysV(), newPOSIX()
		send(q, message{1, ""})
		post(p, message{1, ""})
		Expect(take(q, 0, 0)).To(Equal(message{1, ""}))
		Expect(fetch(p)).To(Equal(message{1, ""}))
	})

	It("bounds a message by msgmax for all queues; a POSIX queue has its own mq_msgsize", func() {
		setLimit("kernel/msgmax", 50)
		q, p := newSysV(), newPOSIX()
		Expect(q.Send(1, make([]byte, 51), sysv.NoWait)).To(And(MatchError(unix.EINVAL),
			MatchError(ContainSubstring("a message of 51 bytes, the system allows 50 (msgmax)"))))
		post(p, message{1, text})
		Expect(p.TimedSend(make([]byte, 65), 1, &past)).To(MatchError(unix.EMSGSIZE))
	})

	It("is full by bytes, msg_qbytes; a POSIX queue by messages, mq_maxmsg", func() {
		q, p := newSysV(), newPOSIX()
		setBytes(q, 120)
		send(q, message{1, text}, message{1, text})
		Expect(q.Send(1, []byte("x"), sysv.NoWait)).To(MatchError(unix.EAGAIN))
		send(q, message{1, ""})
		post(p, message{1, ""}, message{1, ""}, message{1, ""}, message{1, ""})
		Expect(p.TimedSend(nil, 1, &past)).To(MatchError(unix.ETIMEDOUT))
	})

	It("never takes a message longer than msg_qbytes, even when it is empty; mq_send says EMSGSIZE", func() {
		q, p := newSysV(), newPOSIX()
		setBytes(q, 50)
		Expect(q.Send(1, []byte(text), sysv.NoWait)).To(MatchError(unix.EAGAIN))
		sender := startThread(func() error { return q.Send(1, []byte(text), 0) })
		sender.asleepIn(unix.SYS_MSGSND)
		remove(q)
		Expect(sender.result()).To(MatchError(unix.EIDRM))
		Expect(p.Send(make([]byte, 65), 1)).To(MatchError(unix.EMSGSIZE))
	})

	It("gets another size while it lives, with IPC_SET; mq_setattr changes O_NONBLOCK only", func() {
		q, p := newSysV(), newPOSIX()
		full := make([]byte, 100)
		setBytes(q, 100)
		Expect(q.Send(1, full, sysv.NoWait)).To(Succeed())
		Expect(q.Send(1, full, sysv.NoWait)).To(MatchError(unix.EAGAIN))
		setBytes(q, 200)
		Expect(q.Send(1, full, sysv.NoWait)).To(Succeed())
		_, err := p.SetAttr(mq.Attr{MaxMsg: 8, MsgSize: 128, NonBlock: true})
		Expect(err).NotTo(HaveOccurred())
		Expect(p.Attr()).To(Equal(mq.Attr{MaxMsg: 4, MsgSize: 64, NonBlock: true}))
	})

	It("grows beyond msgmnb for CAP_SYS_RESOURCE only, as a POSIX queue beyond msg_max", func() {
		q := newSysV()
		l, err := sysv.SystemLimits()
		Expect(err).NotTo(HaveOccurred())
		settings := status(q).Settings()
		settings.MaxBytes = l.MsgMnb + 1
		Expect(withoutCapabilities(func() error { return q.Set(settings) })).To(MatchError(ContainSubstring("msgmnb")))
		posix, err := mq.SystemLimits()
		Expect(err).NotTo(HaveOccurred())
		Expect(withoutCapabilities(func() error {
			_, err := mq.OpenBlocking(newName(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600,
				&mq.Attr{MaxMsg: posix.MsgMax + 1, MsgSize: 1})
			return err
		})).To(MatchError(ContainSubstring("msg_max")))
	})

	It("counts queues against msgmni, as POSIX queues against queues_max", func() {
		setLimit("kernel/msgmni", 1)
		setLimit("fs/mqueue/queues_max", 1)
		newSysV()
		_, err := sysv.Get(sysv.Private, sysv.Create, 0o600)
		Expect(err).To(MatchError(unix.ENOSPC))
		newPOSIX()
		_, err = mq.Open(newName(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 1})
		Expect(err).To(MatchError(unix.ENOSPC))
	})

	It("costs its user nothing until messages come; a POSIX queue is paid for when it is made, RLIMIT_MSGQUEUE", func() {
		Expect(perform("without budget")).To(Equal("msgget: <nil>\nmq_open: too many open files\n"))
	})
})

func init() {
	parts["without budget"] = func([]string) error {
		if err := unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{}); err != nil {
			return err
		}
		return makeOneOfEach()
	}
}

// setBytes sets msg_qbytes.
func setBytes(q sysv.Queue, n int) {
	GinkgoHelper()
	settings := status(q).Settings()
	settings.MaxBytes = n
	Expect(q.Set(settings)).To(Succeed())
}
