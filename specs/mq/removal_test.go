package mq_test

import (
	"os"
	"os/exec"
	"runtime"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/inside"
)

// second opens the queue again, without the package.
func second(q *mq.Queue) int {
	GinkgoHelper()
	return must(rawOpen(q.Name()[1:], os.O_RDWR, 0, nil))
}

var _ = Describe("J. mq_notify: removal: by its process; by any close", func() {
	It("NULL from its process ends a registration, and the socket of SIGEV_THREAD gets REMOVED", row(127), func() {
		q, box := announced()

		Expect(q.Unnotify()).To(Succeed())

		Expect(box.cookies()).To(Equal([]cookie{removed(1)}))
		Expect(registered(q)).To(BeFalse())
		events := register(q)
		Expect(q.Unnotify()).To(Succeed())
		Eventually(events).Should(Receive(Equal(mq.Removed)))
	})

	DescribeTable("any descriptor of the queue", func(end func(q *mq.Queue) error) {
		q, box := announced()
		Expect(end(q)).To(Succeed())
		Expect(box.cookies()).To(Equal([]cookie{removed(1)}))
		Expect(registered(q)).To(BeFalse())
	},
		Entry("A registration ends when its process closes a second descriptor of the queue", row(128),
			func(q *mq.Queue) error { return unix.Close(second(q)) }),
		Entry("A registration ends when its process closes a duplicate of the descriptor", row(128),
			func(q *mq.Queue) error { return unix.Close(duplicateHigh(number(q))) }),
		Entry("A registration ends when dup2 puts something else in the place of a descriptor of the queue", row(128),
			func(q *mq.Queue) error {
				fd := second(q)
				DeferCleanup(unix.Close, fd)
				return unix.Dup3(newMailbox().fd, fd, unix.O_CLOEXEC)
			}),
		Entry("A registration ends when its process opens and closes the queue's file in mqueuefs", row(128),
			func(q *mq.Queue) error {
				file, err := os.Open(inside.QueueFile(q.Name()))
				if err != nil {
					return err
				}
				return file.Close()
			}),
		Entry("A registration ends when its program looks at the queue's file with os.ReadFile", row(129),
			func(q *mq.Queue) error {
				_, err := os.ReadFile(inside.QueueFile(q.Name()))
				return err
			}),
		Entry("A registration ends when its program closes another Queue of the same name", row(129),
			func(q *mq.Queue) error {
				return open(q.Name(), os.O_WRONLY).Close()
			}),
	)

	It("A registration ends when Go's garbage collector closes a forgotten descriptor of the queue", row(129), func() {
		q, box := newQueue(1, 16), newMailbox()
		os.NewFile(uintptr(second(q)), "forgotten")
		Expect(box.register(number(q), 1)).To(Succeed())
		Eventually(func() []cookie {
			runtime.GC()
			return box.cookies()
		}).Should(Equal([]cookie{removed(1)}))
	})

	It("A look through the descriptor that is open already ends no registration", row(129), func() {
		q, box := announced()
		Expect(q.Status()).To(HaveField("NotifyPID", os.Getpid()))
		Expect(box.cookies()).To(BeEmpty())
	})
})

var _ = Describe("J. mq_notify: removal: what does not matter; at the end", func() {
	DescribeTable("does not matter", func(happens func(q *mq.Queue)) {
		q, box := announced()
		happens(q)
		Expect(registered(q)).To(BeTrue())
		Expect(box.cookies()).To(BeEmpty())
	},
		Entry("A registration outlives another process's opening and closing of the queue", row(130), func(q *mq.Queue) {
			other, fd := peerWith(q, os.O_RDWR)
			Expect(other.close(fd)).To(Succeed())
		}),
		Entry("A registration outlives a look at the queue's file by cat", row(130), func(q *mq.Queue) {
			Expect(exec.Command("cat", inside.QueueFile(q.Name())).Output()).To(ContainSubstring("NOTIFY:2"))
		}),
		Entry("A registration outlives mq_unlink", row(130), func(q *mq.Queue) {
			Expect(mq.Unlink(q.Name())).To(Succeed())
		}),
		Entry("A registration outlives an mq_open that fails", row(130), func(q *mq.Queue) {
			Expect(mq.Open(q.Name(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, nil)).Error().To(MatchError(unix.EEXIST))
		}),
		Entry("A registration outlives a copy of the descriptor that is lost on its way through a socket", row(130),
			func(q *mq.Queue) {
				pair := must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
				Expect(unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(number(q)), nil, 0)).To(Succeed())
				Expect(unix.Close(pair[0])).To(Succeed())
				Expect(unix.Close(pair[1])).To(Succeed())
			}),
		Entry("A registration outlives the start of a child", row(130), func(*mq.Queue) {
			Expect(exec.Command("true").Run()).To(Succeed())
		}),
	)

	DescribeTable("with its process", func(end func(*peer)) {
		q, box := newQueue(1, 16), newMailbox()
		owner := startPeer(inherits(box.file()))
		fd := must(owner.open(q.Name(), os.O_RDWR))
		Expect(owner.notifyThread(fd, firstInherited, 1)).To(Succeed())
		Expect(q.Status()).To(HaveField("NotifyPID", owner.pid()))

		end(owner)

		Expect(registered(q)).To(BeFalse())
		Expect(box.cookies()).To(Equal([]cookie{removed(1)}))
	},
		Entry("A registration ends with its process, and who else has the socket reads REMOVED", row(131), (*peer).exit),
		Entry("A registration ends with a process that SIGKILL ends, and who else has the socket reads REMOVED", row(131), (*peer).kill),
	)

	It("exec ends a registration, because the descriptor is close-on-exec", row(132), func() {
		q := newQueue(1, 16)
		owner, fd := peerWith(q, os.O_RDWR)
		Expect(owner.notify(fd, sigevSignal)).To(Succeed())
		owner.exec()
		Expect(registered(q)).To(BeFalse())
	})

	It("Without close-on-exec a registration survives exec, but the new program gets no signal", row(132), func() {
		q := newQueue(1, 16)
		owner, fd := peerWith(q, os.O_RDWR)
		must(owner.do(order{Call: "keep", FD: fd}))
		Expect(owner.notify(fd, sigevSignal)).To(Succeed())

		owner.exec()

		Expect(q.Status()).To(HaveField("NotifyPID", owner.pid()))
		Expect(q.NotifyNone()).To(MatchError(unix.EBUSY))
		Expect(q.TrySend(nil, 0)).To(Succeed())
		Expect(registered(q)).To(BeFalse(), "the message has used the registration up")
		Expect(owner.signals()).To(BeEmpty())
	})
})

var _ = Describe("J. mq_notify: removal: without its socket", func() {
	It("A registration outlives its socket: EBUSY for others, then a notification that nobody hears", row(133), func() {
		q, box := announced()
		box.close()
		Expect(q.NotifyNone()).To(MatchError(unix.EBUSY))
		Expect(q.TrySend(nil, 0)).To(Succeed())
		Expect(registered(q)).To(BeFalse())
	})

	It("NULL ends a registration whose socket is closed", row(133), func() {
		q, box := announced()
		box.close()
		Expect(q.Unnotify()).To(Succeed())
		Expect(registered(q)).To(BeFalse())
	})
})
