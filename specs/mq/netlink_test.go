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

const (
	sigevSignal   = 0
	sigevNone     = 1
	sigevThread   = 2
	sigevThreadID = 4
)

// mailbox is a netlink socket on which the kernel queues cookies. It does so before the call that causes them returns,
// so a cookie that is not there after the call never comes.
type mailbox struct{ fd int }

func newMailbox() *mailbox {
	GinkgoHelper()
	fd := must(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE))
	m := &mailbox{fd}
	DeferCleanup(m.close)
	return m
}

func (m *mailbox) close() {
	unix.Close(m.fd)
	m.fd = -1
}

// register registers this process with a cookie that starts with number.
func (m *mailbox) register(fd int, id byte) error { return rawNotifyThread(fd, m.fd, &cookie{id}) }

// announced returns a queue whose next message puts cookie 1 into the mailbox.
func announced() (*mq.Queue, *mailbox) {
	GinkgoHelper()
	q, box := newQueue(1, 16), newMailbox()
	Expect(box.register(number(q), 1)).To(Succeed())
	return q, box
}

// woken and removed are cookies as the kernel returns them.
func woken(id byte) cookie   { return cookie{0: id, 31: byte(mq.Arrived)} }
func removed(id byte) cookie { return cookie{0: id, 31: byte(mq.Removed)} }

// next returns the oldest cookie, or EAGAIN.
func (m *mailbox) next() (c cookie, err error) {
	buf := make([]byte, 64)
	n, err := unix.Read(m.fd, buf)
	if err == nil && n != len(c) {
		err = fmt.Errorf("%d bytes", n)
	}
	copy(c[:], buf)
	return c, err
}

// cookies returns all that are queued.
func (m *mailbox) cookies() (all []cookie) {
	GinkgoHelper()
	for {
		c, err := m.next()
		if errors.Is(err, unix.EAGAIN) {
			return all
		}
		Expect(err).NotTo(HaveOccurred())
		all = append(all, c)
	}
}

// file returns the mailbox for another process to inherit.
func (m *mailbox) file() *os.File { return duplicateFor(m.fd) }

// duplicateFor returns a duplicate of a descriptor for another process to inherit.
func duplicateFor(fd int) *os.File {
	GinkgoHelper()
	f := os.NewFile(uintptr(must(unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3))), "duplicate")
	DeferCleanup(f.Close)
	return f
}

// small sets the socket's receive buffer to the kernel's minimum.
func (m *mailbox) small() *mailbox {
	GinkgoHelper()
	Expect(unix.SetsockoptInt(m.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1)).To(Succeed())
	return m
}

// registerOnThread registers on a thread of its own, and reports whether that sleeps in mq_notify.
func (m *mailbox) registerOnThread(fd int, id byte) (th inside.Thread, sleeps bool) {
	GinkgoHelper()
	th = inside.StartThread(func() error { return m.register(fd, id) })
	Eventually(func() bool {
		sleeps, _ = inside.SleepsIn(fmt.Sprintf("/proc/self/task/%d", th.TID), unix.SYS_MQ_NOTIFY)
		return sleeps || len(th.Done) > 0
	}).Should(BeTrue())
	return th, sleeps
}

// arm registers for one new queue after another until mq_notify sleeps.
func (m *mailbox) arm() (armed []*mq.Queue, sleeper inside.Thread) {
	GinkgoHelper()
	for {
		q := newQueue(1, 16)
		th, sleeps := m.registerOnThread(number(q), byte(len(armed)))
		if sleeps {
			return armed, th
		}
		Expect(th.Result()).To(Succeed())
		armed = append(armed, q)
	}
}

var _ = Describe("K. the netlink socket: cookies and room; sleeping in mq_notify", func() {
	It("One socket serves several queues; their cookies tell them apart", row(134), func() {
		box, a, b := newMailbox(), newQueue(1, 16), newQueue(1, 16)
		Expect(box.register(number(a), 1)).To(Succeed())
		Expect(box.register(number(b), 2)).To(Succeed())
		Expect(b.TrySend(nil, 0)).To(Succeed())
		Expect(a.Unnotify()).To(Succeed())
		Expect(box.cookies()).To(Equal([]cookie{woken(2), removed(1)}))
	})

	It("A registration takes room in its socket's buffer; without room mq_notify sleeps, though the socket is O_NONBLOCK",
		row(135), func() {
			box := newMailbox().small()
			armed, sleeper := box.arm()
			Expect(armed).NotTo(BeEmpty())

			Expect(armed[0].TrySend(nil, 0)).To(Succeed()) // leaves a cookie to read

			Expect(box.next()).To(Equal(woken(0)))
			Expect(sleeper.Result()).To(Succeed())
		})

	It("A registration takes room until its cookie is read; firing or cancelling it gives none back", row(135), func() {
		q, box := newQueue(1, 16), newMailbox()
		fd, charged := number(q), 0
		th, sleeps := box.registerOnThread(fd, 1)
		for ; !sleeps; th, sleeps = box.registerOnThread(fd, 1) {
			Expect(th.Result()).To(Succeed())
			Expect(q.Unnotify()).To(Succeed())
			charged++
		}
		AddReportEntry("registrations that a socket has room for", charged)
		size := must(unix.GetsockoptInt(box.fd, unix.SOL_SOCKET, unix.SO_RCVBUF))
		Expect(size/charged).To(BeNumerically("<=", 2048), "what lab/mq takes a registration to cost")

		Expect(box.next()).To(Equal(removed(1)))

		Expect(th.Result()).To(Succeed())
		Expect(box.cookies()).To(HaveLen(charged - 1))
	})

	It("Only a signal handled without SA_RESTART ends an mq_notify that sleeps, so none in Go: EINTR", row(136), func() {
		caught := catch(true)
		box := newMailbox().small()
		_, sleeper := box.arm()
		sleeper.Signal(unix.SIGUSR2)
		Eventually(caught).Should(Receive())
		sleeper.AsleepIn(unix.SYS_MQ_NOTIFY)

		Expect(setRestart(unix.SIGUSR2, false)).To(Succeed())
		sleeper.Signal(unix.SIGUSR2)

		Expect(sleeper.Result()).To(MatchError(unix.EINTR))
	})

	It("The package never sleeps in mq_notify: it takes another socket in time", row(136), func() {
		const many = 300
		Expect(inside.SetLimit("fs/mqueue/queues_max", "400")).To(Succeed())
		events := make(chan mq.Event, many)
		queues := make([]*mq.Queue, many)
		for i := range queues {
			queues[i] = newQueue(1, 1)
			Expect(queues[i].Notify(func(ev mq.Event) { events <- ev })).To(Succeed())
		}
		count := map[mq.Event]int{}
		for i, q := range queues {
			if i%2 == 0 {
				Expect(q.TrySend(nil, 0)).To(Succeed())
			}
			Expect(q.Close()).To(Succeed())
		}
		for range queues {
			var ev mq.Event
			Eventually(events).Should(Receive(&ev))
			count[ev]++
		}
		Expect(count).To(Equal(map[mq.Event]int{mq.Arrived: many / 2, mq.Removed: many / 2}))
	})
})

var _ = Describe("K. the netlink socket: lessons of the past", func() {
	It("A notification is never lost for lack of room: the registration has taken its place", row(137), func() {
		box := newMailbox().small()
		armed, sleeper := box.arm()

		var want []cookie
		for i, q := range armed {
			Expect(q.TrySend(nil, 0)).To(Succeed())
			want = append(want, woken(byte(i)))
		}

		var got []cookie
		for range armed {
			c := must(box.next())
			got = append(got, c)
		}
		Expect(got).To(Equal(want))
		Expect(sleeper.Result()).To(Succeed())
	})

	It("Who registers, cancels and registers again is notified", row(138), func() {
		q := newQueue(1, 16)
		first := register(q)
		Expect(q.Unnotify()).To(Succeed())
		Eventually(first).Should(Receive(Equal(mq.Removed)))

		second := register(q)
		Expect(q.TrySend(nil, 0)).To(Succeed())

		Eventually(second).Should(Receive(Equal(mq.Arrived)))
		Expect(first).To(BeEmpty())
	})

	It("The C library needs nothing of the caller's thread attributes once mq_notify has returned", row(139), func() {
		performC("attributes destroyed after mq_notify")
	})

	It("After fork a C program's child shares the socket: the parent runs functions that the child has registered", row(140),
		func() { performC("child shares the socket of SIGEV_THREAD") })
})
