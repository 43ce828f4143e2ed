package mq_test

import (
	"errors"
	"fmt"
	"os"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/inside"
)

var _ = Describe("H. mq_notify: registering: one at a time", func() {
	It("A queue has one registration; whoever tries for a second leaves the first untouched: EBUSY", row(101), func() {
		q := newQueue(1, 16)
		fd, box := number(q), newMailbox()
		Expect(box.register(fd, 1)).To(Succeed())
		other := startPeer(inherits(box.file()))
		theirs := must(other.open(q.Name(), os.O_RDWR))

		Expect(box.register(fd, 2)).To(MatchError(unix.EBUSY))
		Expect(onThread(func() error { return box.register(fd, 3) })).To(MatchError(unix.EBUSY))
		Expect(other.notifyThread(theirs, firstInherited, 4)).To(MatchError(unix.EBUSY))

		Expect(q.TrySend(nil, 0)).To(Succeed())
		Expect(box.cookies()).To(Equal([]cookie{woken(1)}))
	})

	It("Of several processes that register at once exactly one wins", row(102), func() {
		q := newQueue(1, 16)
		racers := []*peer{startPeer(), startPeer(), startPeer()}
		descriptors := make([]int, len(racers))
		for i, racer := range racers {
			fd := must(racer.open(q.Name(), os.O_RDWR))
			descriptors[i] = fd
		}
		for range 100 {
			wins := make([]error, len(racers))
			var race sync.WaitGroup
			for i, racer := range racers {
				race.Go(func() {
					defer GinkgoRecover()
					wins[i] = racer.notify(descriptors[i], sigevNone)
				})
			}
			race.Wait()
			Expect(wins).To(ConsistOf(Succeed(), MatchError(unix.EBUSY), MatchError(unix.EBUSY)))
			Expect(q.TrySend(nil, 0)).To(Succeed()) // ends the registration
			receive(q)
		}
	})
})

var _ = Describe("H. mq_notify: registering: what it takes", func() {
	It("mq_notify wants a descriptor of a queue, EBADF; one that can only send or only receive will do", row(103), func() {
		q := newQueue(1, 16)
		closed := duplicateHigh(number(q))
		Expect(unix.Close(closed)).To(Succeed())
		for _, fd := range []int{-1, closed, newMailbox().fd} {
			Expect(rawNotify(fd, &sigevent{notify: sigevNone})).To(MatchError(unix.EBADF))
		}
		for _, flags := range []int{os.O_WRONLY, os.O_RDONLY} {
			half := open(q.Name(), flags)
			Expect(half.NotifyNone()).To(Succeed())
			Expect(half.Unnotify()).To(Succeed())
		}
	})

	It("mq_notify wants more than a descriptor of O_PATH: EBADF", row(103), func() {
		fd := owned(unix.Open(inside.QueueFile(newQueue(1, 16).Name()), unix.O_PATH|unix.O_CLOEXEC, 0))
		Expect(rawNotify(fd, &sigevent{notify: sigevNone})).To(MatchError(unix.EBADF))
	})

	It("mq_notify knows SIGEV_SIGNAL, _NONE and _THREAD, and looks at that before the descriptor: EINVAL", row(104),
		func() {
			for _, how := range []int32{sigevThreadID, 3, 5, -1} {
				Expect(rawNotify(number(newQueue(1, 16)), &sigevent{notify: how})).To(MatchError(unix.EINVAL))
				Expect(rawNotify(-1, &sigevent{notify: how})).To(MatchError(unix.EINVAL))
			}
		})

	It("SIGEV_SIGNAL takes signals up to 64, EINVAL; 0 is used up by a message, and nobody hears of it", row(105),
		func() {
			q := newQueue(1, 16)
			Expect(q.NotifySignal(65, 0)).To(MatchError(unix.EINVAL))
			Expect(q.NotifySignal(0, 0)).To(Succeed())
			Expect(registered(q)).To(BeTrue())
			Expect(q.TrySend(nil, 0)).To(Succeed())
			Expect(registered(q)).To(BeFalse())
		})
})

var _ = Describe("H. mq_notify: registering: SIGEV_NONE and SIGEV_THREAD; silence", func() {
	It("SIGEV_NONE keeps others out until the first message uses the registration up: EBUSY", row(106), func() {
		q := newQueue(1, 16)
		Expect(q.NotifyNone()).To(Succeed())
		Expect(q.Notify(func(mq.Event) {})).To(MatchError(unix.EBUSY))
		Expect(q.TrySend(nil, 0)).To(Succeed())
		register(q)
	})

	It("SIGEV_THREAD carries 32 bytes, copied at once; the last comes back as 1, woken, or 2, removed", row(107),
		func() {
			q, box := newQueue(1, 16), newMailbox()
			var sent cookie
			for i := range sent {
				sent[i] = byte(200 + i)
			}
			want := sent

			Expect(rawNotifyThread(number(q), box.fd, &sent)).To(Succeed())
			sent = cookie{} // the kernel has its own copy
			Expect(q.TrySend(nil, 0)).To(Succeed())
			want[31] = 1
			Expect(box.cookies()).To(Equal([]cookie{want}))

			receive(q)
			Expect(rawNotifyThread(number(q), box.fd, &want)).To(Succeed())
			Expect(q.Unnotify()).To(Succeed())
			want[31] = 2
			Expect(box.cookies()).To(Equal([]cookie{want}))
		})

	It("SIGEV_THREAD wants any netlink socket and a cookie: EBADF, ENOTSOCK, EINVAL, EFAULT", row(108), func() {
		q := newQueue(1, 16)
		fd := number(q)
		pair := must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
		DeferCleanup(func() { unix.Close(pair[0]); unix.Close(pair[1]) })
		Expect(rawNotifyThread(fd, -1, &cookie{})).To(MatchError(unix.EBADF))
		Expect(rawNotifyThread(fd, fd, &cookie{})).To(MatchError(unix.ENOTSOCK))
		Expect(rawNotifyThread(fd, pair[0], &cookie{})).To(MatchError(unix.EINVAL))
		Expect(rawNotifyThread(fd, newMailbox().fd, nil)).To(MatchError(unix.EFAULT))

		other := owned(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT))
		Expect(rawNotifyThread(fd, other, &cookie{})).To(Succeed())
	})

	It("A registration on a queue with messages is silent, for later messages too, until the queue has been empty once", row(109),
		func() {
			q := newQueue(3, 16)
			Expect(q.TrySend([]byte("before"), 0)).To(Succeed())

			events := register(q)
			Expect(q.TrySend([]byte("after"), 0)).To(Succeed())

			Expect(registered(q)).To(BeTrue(), "neither message was announced")
			receive(q)
			receive(q)
			Expect(q.TrySend([]byte("to an empty one"), 0)).To(Succeed())
			Eventually(events).Should(Receive(Equal(mq.Arrived)))
		})
})

var _ = Describe("H. mq_notify: registering: whose it is", func() {
	It("A registration is the process's: the thread that made it may end, and any other may cancel it", row(110), func() {
		q, box := newQueue(1, 16), newMailbox()
		maker := inside.StartThread(func() error { return box.register(number(q), 1) })
		Expect(maker.Result()).To(Succeed())
		Eventually(func() error {
			_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", maker.TID))
			return err
		}).Should(MatchError(os.ErrNotExist), "the thread ends")
		Expect(registered(q)).To(BeTrue())

		Expect(onThread(q.Unnotify)).To(Succeed())

		Expect(box.cookies()).To(Equal([]cookie{removed(1)}))
	})

	It("A child can neither cancel nor replace a registration; its close and its exit change nothing", row(111), func() {
		q, box := announced()
		child := startPeer(inherits(duplicateFor(number(q)), box.file()))

		Expect(child.unnotify(firstInherited)).To(Succeed())
		Expect(child.notifyThread(firstInherited, firstInherited+1, 2)).To(MatchError(unix.EBUSY))
		Expect(child.close(firstInherited)).To(Succeed())
		child.exit()

		Expect(box.cookies()).To(BeEmpty())
		Expect(q.TrySend(nil, 0)).To(Succeed())
		Expect(box.cookies()).To(Equal([]cookie{woken(1)}))
	})

	It("A child of fork(2) has no part in its parent's registration", row(111), func() {
		performC("fork after mq_notify")
	})

	It("NULL from a process that is not registered is no error and does nothing", row(112), func() {
		q := newQueue(1, 16)
		other, fd := peerWith(q, os.O_RDWR)
		Expect(other.notify(fd, sigevNone)).To(Succeed())
		Expect(q.Unnotify()).To(Succeed())
		Expect(q.Status()).To(HaveField("NotifyPID", other.pid()))
		Expect(errors.Join(other.unnotify(fd), other.unnotify(fd))).To(Succeed())
	})
})
