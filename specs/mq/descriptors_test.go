package mq_test

import (
	"errors"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/inside"
)

// highNumber is a descriptor that nothing else in the process gets by chance: the kernel hands out the lowest free
// one.
const highNumber = 900

// duplicateHigh returns a duplicate that may be closed twice without hitting another file.
func duplicateHigh(fd int) int {
	GinkgoHelper()
	return must(unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, highNumber))
}

func nonBlock(fd int) bool {
	GinkgoHelper()
	var attr mqAttr
	Expect(rawGetSetAttr(fd, nil, &attr)).To(Succeed())
	return attr.flags&unix.O_NONBLOCK != 0
}

var _ = Describe("C. mq_close, mq_unlink, descriptors: closing; unlinking", func() {
	It("mq_close closes a queue, and has nothing to close the second time: EBADF", row(39, 40), func() {
		q := newQueue(1, 16)
		fd := duplicateHigh(number(q))
		Expect(unix.Close(fd)).To(Succeed())
		Expect(unix.Close(fd)).To(MatchError(unix.EBADF))
		Expect(unix.Close(-1)).To(MatchError(unix.EBADF))
		Expect(q.Close()).To(Succeed())
		Expect(q.Close()).To(MatchError(os.ErrClosed))
	})

	It("A closed descriptor names no queue any more: EBADF", row(41), func() {
		fd := duplicateHigh(number(newQueue(1, 16)))
		Expect(unix.Close(fd)).To(Succeed())
		Expect(rawNotify(fd, &sigevent{notify: sigevNone})).To(MatchError(unix.EBADF))
		Expect(rawSend(fd, nil, nil)).To(MatchError(unix.EBADF))
	})

	It("mq_close ends the registration of its process, so that another can register", row(42), func() {
		q := newQueue(1, 16)
		other, fd := peerWith(q, os.O_RDWR)
		Expect(q.NotifyNone()).To(Succeed())
		Expect(other.notify(fd, sigevNone)).To(MatchError(unix.EBUSY))
		Expect(q.Close()).To(Succeed())
		Expect(other.notify(fd, sigevNone)).To(Succeed())
	})

	It("The C library's mq_close closes anything, even a pipe; the package takes only queues: EBADF", row(43), func() {
		read, write, err := os.Pipe()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { read.Close(); write.Close() })
		Expect(mq.Inherit(int(write.Fd()), "/pipe")).Error().To(MatchError(unix.EBADF))
		performC("mq_close of a pipe")
	})

	It("mq_unlink removes the name at once: ENOENT for who opens it", row(44), func() {
		q := newQueue(1, 16)
		Expect(mq.Unlink(q.Name())).To(Succeed())
		Expect(mq.Open(q.Name(), os.O_RDWR, 0, nil)).Error().To(MatchError(unix.ENOENT))
	})

	It("mq_unlink has no name to remove the second time, ENOENT, and none of 256 bytes: ENAMETOOLONG", row(45), func() {
		q := newQueue(1, 16)
		Expect(mq.Unlink(q.Name())).To(Succeed())
		Expect(mq.Unlink(q.Name())).To(MatchError(unix.ENOENT))
		Expect(mq.Unlink("/" + strings.Repeat("x", 256))).To(MatchError(unix.ENAMETOOLONG))
	})

	It("An unlinked queue goes on for who has it open, and its name is free for a different queue", row(46), func() {
		old := newQueue(2, 16)
		Expect(old.TrySend([]byte("in the old"), 0)).To(Succeed())
		Expect(mq.Unlink(old.Name())).To(Succeed())
		fresh := create(old.Name(), &mq.Attr{MaxMsg: 1, MsgSize: 16})
		Expect(curMsgs(fresh)).To(Equal(0))
		Expect(old.TrySend([]byte("and more"), 0)).To(Succeed())
		Expect(receive(old)).To(Equal("in the old"))
	})

	It("Only the owner unlinks a queue; the kernel says EPERM where POSIX and the package say EACCES", row(47), func() {
		q := newQueue(1, 16)
		other := startPeer(asOtherUser())
		kernel := other.unlink(q.Name())
		explained, library := other.do(order{Call: "explain unlink", Name: q.Name()})
		Expect(kernel).To(MatchError(unix.EPERM))
		Expect(library).To(MatchError(unix.EACCES))
		Expect(explained.Text).To(ContainSubstring("the queue is another user's"))
	})
})

var _ = Describe("C. mq_close, mq_unlink, descriptors: files", func() {
	It("Duplicates share O_NONBLOCK; descriptors of separate mq_open calls do not", row(48), func() {
		q := newQueue(1, 16)
		first := owned(rawOpen(q.Name()[1:], os.O_RDWR, 0, nil))
		duplicate := duplicateHigh(first)
		DeferCleanup(unix.Close, duplicate)
		second := owned(rawOpen(q.Name()[1:], os.O_RDWR, 0, nil))

		Expect(unix.SetNonblock(first, true)).To(Succeed()) // fcntl(F_SETFL) has the same effect as mq_setattr

		Expect([]bool{nonBlock(first), nonBlock(duplicate), nonBlock(second)}).To(Equal([]bool{true, true, false}))
	})

	It("A queue is a regular file of 80 bytes to fstat; fchmod and fchown work, write does not: EINVAL", row(49), func() {
		q := newQueue(1, 16)
		fd := number(q)
		var st unix.Stat_t
		Expect(unix.Fstat(fd, &st)).To(Succeed())
		Expect(st.Mode & unix.S_IFMT).To(BeEquivalentTo(unix.S_IFREG))
		Expect(st.Size).To(BeEquivalentTo(80))

		_, err := unix.Write(fd, []byte("x"))
		Expect(err).To(MatchError(unix.EINVAL))

		Expect(unix.Fchown(fd, os.Getuid(), os.Getgid())).To(Succeed())
		Expect(unix.Fchmod(fd, 0)).To(Succeed())
		Expect(inside.WithoutCapabilities(func() error {
			_, err := mq.Open(q.Name(), os.O_RDONLY, 0, nil)
			return err
		})).To(MatchError(unix.EACCES))
	})

	It("ftruncate changes the size that fstat shows, and nothing of the queue", row(49), func() {
		q := newQueue(1, 16)
		Expect(q.TrySend([]byte("still here"), 0)).To(Succeed())

		Expect(unix.Ftruncate(number(q), 0)).To(Succeed())

		var st unix.Stat_t
		Expect(unix.Fstat(number(q), &st)).To(Succeed())
		Expect(st.Size).To(BeZero())
		Expect(q.Status()).To(HaveField("QSize", BeEquivalentTo(10)))
		Expect(receive(q)).To(Equal("still here"))
	})
})

var _ = Describe("C. mq_close, mq_unlink, descriptors: the status line", func() {
	It("read and pread give a status line of 60 bytes, on a descriptor opened for reading: else EBADF", row(50), func() {
		q := newQueue(1, 16)
		buf := make([]byte, 128)
		n := must(unix.Pread(number(q), buf, 0))
		Expect(string(buf[:n])).To(Equal("QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n"))
		Expect(n).To(Equal(60))
		Expect(unix.Read(number(q), buf)).To(Equal(60))
		Expect(unix.Read(number(q), buf)).To(Equal(0), "the end of the file")

		Expect(open(q.Name(), os.O_WRONLY).Status()).Error().To(MatchError(unix.EBADF))
	})

	It("QSIZE in the status line counts bytes, not messages", row(51), func() {
		q := newQueue(2, 16)
		Expect(q.TrySend(nil, 0)).To(Succeed())
		Expect(q.Status()).To(HaveField("QSize", BeEquivalentTo(0)))
		Expect(q.TrySend([]byte("five!"), 0)).To(Succeed())
		Expect(q.Status()).To(HaveField("QSize", BeEquivalentTo(5)))
	})

	It("NOTIFY: 0 a signal or nobody (see NOTIFY_PID), 1 SIGEV_NONE, 2 SIGEV_THREAD", row(52), func() {
		q, me := newQueue(1, 16), os.Getpid()
		Expect(q.Status()).To(Equal(mq.Status{}))

		Expect(q.NotifySignal(unix.SIGUSR1, 0)).To(Succeed())
		Expect(q.Status()).To(Equal(mq.Status{Notify: sigevSignal, Signo: int(unix.SIGUSR1), NotifyPID: me}))
		Expect(q.Unnotify()).To(Succeed())
		Expect(q.NotifyNone()).To(Succeed())
		Expect(q.Status()).To(Equal(mq.Status{Notify: sigevNone, NotifyPID: me}))
		Expect(q.Unnotify()).To(Succeed())
		register(q)
		Expect(q.Status()).To(HaveField("Notify", mq.SigevThread))
		Expect(q.Status()).To(HaveField("NotifyPID", me))
	})

	It("NOTIFY_PID is a number of the reader's PID namespace: 0 for a process that is not in it", row(53), func() {
		q := newQueue(1, 16)
		Expect(q.NotifyNone()).To(Succeed())
		elsewhere := startPeer(inNamespaces(unix.CLONE_NEWPID))
		fd := must(elsewhere.open(q.Name(), os.O_RDWR))

		Expect(elsewhere.status(fd).NotifyPID).To(Equal(0))
		Expect(elsewhere.notify(fd, sigevNone)).To(MatchError(unix.EBUSY))

		Expect(q.Unnotify()).To(Succeed())
		Expect(elsewhere.notify(fd, sigevNone)).To(Succeed())
		Expect(elsewhere.status(fd).NotifyPID).To(Equal(1))
		Expect(q.Status()).To(HaveField("NotifyPID", elsewhere.pid()))
	})
})

var _ = Describe("C. mq_close, mq_unlink, descriptors: mqueuefs", func() {
	It("Opening a queue's file in mqueuefs gives a full descriptor of the queue", row(54), func() {
		q := newQueue(1, 16)

		fd := owned(unix.Open(inside.QueueFile(q.Name()), os.O_RDWR|unix.O_CLOEXEC, 0))
		box := newMailbox()
		Expect(box.register(fd, 7)).To(Succeed())
		Expect(rawSend(fd, []byte("hello"), nil)).To(Succeed())
		Expect(box.cookies()).To(Equal([]cookie{woken(7)}))
		Expect(rawReceive(fd, make([]byte, 16), nil)).To(Equal(5))
	})

	It("inotify tells of queues made, closed and removed, never of messages", row(55), func() {
		made, messages, gone := watchQueue()
		Expect(made &^ unix.IN_OPEN).To(Equal(uint32(unix.IN_CREATE)))
		Expect(messages).To(BeZero())
		Expect(gone).To(Equal(uint32(unix.IN_DELETE | unix.IN_CLOSE_WRITE)))
	})

	It("Since Linux 6.5 inotify tells of queues opened", row(55), func() {
		needLinux(6, 5)
		made, _, _ := watchQueue()
		Expect(made).To(Equal(uint32(unix.IN_CREATE | unix.IN_OPEN)))
	})
})

// watchQueue watches mqueuefs while a queue is created, used for one message, and removed.
func watchQueue() (made, messages, gone uint32) {
	GinkgoHelper()
	name := newName()
	watch := owned(unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC))
	must(unix.InotifyAddWatch(watch, inside.QueueFile(""), unix.IN_ALL_EVENTS))

	q := create(name, &mq.Attr{MaxMsg: 1, MsgSize: 16})
	made = inotifyEvents(watch)
	Expect(q.TrySend([]byte("hello"), 0)).To(Succeed())
	receive(q)
	messages = inotifyEvents(watch)
	Expect(errors.Join(mq.Unlink(name), q.Close())).To(Succeed())
	return made, messages, inotifyEvents(watch)
}
