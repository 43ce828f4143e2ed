package mq_test

import (
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/inside"
)

// cost is what a peer's queue is charged: one message of 16 bytes and two records of 48.
const cost = 16 + 48 + 48

// limited is a peer in namespaces of its own whose RLIMIT_MSGQUEUE is this many bytes.
func limited(bytes int) *peer {
	GinkgoHelper()
	p := startPeer(inNamespaces(unix.CLONE_NEWUSER | unix.CLONE_NEWIPC))
	p.limit(unix.RLIMIT_MSGQUEUE, bytes)
	return p
}

const newOne = os.O_RDWR | os.O_CREATE | os.O_EXCL

var _ = Describe("B. Limits: what a queue and a namespace may hold; RLIMIT_MSGQUEUE", func() {
	DescribeTable("above the limits", func(messages, bytes int) {
		l := must(mq.SystemLimits())
		Expect(inside.WithoutCapabilities(func() error {
			_, err := mq.Open(newName(), newOne, 0o600, &mq.Attr{MaxMsg: l.MsgMax + messages, MsgSize: l.MsgSizeMax + bytes})
			return err
		})).To(MatchError(unix.EINVAL))
	},
		Entry("Without CAP_SYS_RESOURCE a queue has at most msg_max messages: EINVAL", row(29), 1, 0),
		Entry("Without CAP_SYS_RESOURCE a message has at most msgsize_max bytes: EINVAL", row(29), 0, 1),
	)

	It("An IPC namespace has at most queues_max queues; an unlinked one counts while it is open: ENOSPC", row(31), func() {
		p := startPeer(inNamespaces(unix.CLONE_NEWIPC))
		must(p.do(order{Call: "write file", Name: "/proc/sys/fs/mqueue/queues_max", Text: "1"}))
		fd := must(p.open("/one", newOne))

		Expect(p.open("/two", newOne)).Error().To(MatchError(unix.ENOSPC))
		Expect(p.unlink("/one")).To(Succeed())
		Expect(p.open("/two", newOne)).Error().To(MatchError(unix.ENOSPC))

		Expect(p.close(fd)).To(Succeed())
		must(p.open("/two", newOne))
	})

	DescribeTable("messages, and two records of 48 bytes for each",
		func(maxMsg, msgSize, bytes int) {
			Expect(mq.Cost(maxMsg, msgSize)).To(Equal(uint64(bytes)))
			one := order{Call: "open", Name: "/one", Flags: newOne, MaxMsg: maxMsg, Size: msgSize}
			must(limited(bytes).do(one))
			Expect(limited(bytes - 1).do(one)).Error().To(MatchError(unix.EMFILE))
		},
		Entry("A queue of 1 message of 1 byte costs 97 bytes of RLIMIT_MSGQUEUE, not one less: EMFILE", row(32), 1, 1, 97),
		Entry("A queue of 7 messages of 100 bytes costs 1,372 bytes of RLIMIT_MSGQUEUE, not one less: EMFILE", row(32), 7, 100, 1372),
		Entry("A queue of 10 messages of 8,192 bytes costs 82,880 bytes of RLIMIT_MSGQUEUE, not one less: EMFILE", row(32), 10, 8192, 82880),
	)

	It("RLIMIT_MSGQUEUE counts a user's queues in all IPC namespaces, and exempts no capability: EMFILE", row(33), func() {
		p := limited(cost)
		must(p.open("/one", newOne))
		must(p.do(order{Call: "new IPC namespace"}))
		Expect(p.open("/one", newOne)).Error().To(MatchError(unix.EMFILE))
	})

	It("Since Linux 5.14 a new user namespace counts its queues from zero", row(33), func() {
		needLinux(5, 14)
		first, second := limited(cost), limited(cost)
		must(first.open("/one", newOne))
		must(second.open("/one", newOne))
	})

	It("Since Linux 5.14 a new user namespace counts its queues for the user who made it, too: EMFILE", row(33), func() {
		needLinux(5, 14)
		inside.NeedPrivate()
		newQueue(1, 16)
		var old unix.Rlimit
		Expect(unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &old)).To(Succeed())
		Expect(unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Cur: cost, Max: old.Max})).To(Succeed())
		DeferCleanup(unix.Setrlimit, unix.RLIMIT_MSGQUEUE, &old)

		p := limited(cost) // its creator has used up the first

		Expect(p.open("/one", newOne)).Error().To(MatchError(unix.EMFILE))
	})
})

var _ = Describe("B. Limits: what costs how long; the limits themselves", func() {
	It("A queue costs until its last descriptor is closed, not only until mq_unlink", row(34), func() {
		p := limited(cost)
		fd := must(p.open("/one", newOne))
		Expect(p.unlink("/one")).To(Succeed())
		Expect(p.open("/two", newOne)).Error().To(MatchError(unix.EMFILE))
		Expect(p.close(fd)).To(Succeed())
		must(p.open("/two", newOne))
	})

	It("Opening a queue that exists costs nothing", row(34), func() {
		p := limited(cost)
		for range 3 {
			must(p.open("/one", os.O_RDWR|os.O_CREATE))
		}
	})

	It("EMFILE means too many descriptors or too many bytes in queues; a good error text tells which", row(35), func() {
		explain := order{Call: "explain open", Name: newName(), Flags: newOne, MaxMsg: 1, Size: 16}
		noBytes, noDescriptors := startPeer(), startPeer()
		noBytes.limit(unix.RLIMIT_MSGQUEUE, 0)
		noDescriptors.limit(unix.RLIMIT_NOFILE, 0)

		bytes, err := noBytes.do(explain)
		Expect(err).To(MatchError(unix.EMFILE))
		descriptors, err := noDescriptors.do(explain)
		Expect(err).To(MatchError(unix.EMFILE))

		Expect(bytes.Text).To(ContainSubstring("cost %d of the 0 bytes that all queues of user %d", cost, os.Getuid()))
		Expect(bytes.Text).To(ContainSubstring("(RLIMIT_MSGQUEUE)"))
		Expect(descriptors.Text).To(ContainSubstring("RLIMIT_NOFILE 0"))
	})

	DescribeTable("limits of the limits", func(name, least, most string, tooLittle, tooMuch string) {
		for _, value := range []string{least, most} {
			Expect(inside.SetLimit("fs/mqueue/"+name, value)).To(Succeed())
		}
		for _, value := range []string{tooLittle, tooMuch} {
			Expect(inside.SetLimit("fs/mqueue/"+name, value)).To(MatchError(unix.EINVAL))
		}
	},
		Entry("msg_max is from 1 to 65,536: EINVAL", row(36), "msg_max", "1", "65536", "0", "65537"),
		Entry("msgsize_max is from 128 to 16,777,216: EINVAL", row(36), "msgsize_max", "128", "16777216", "127", "16777217"),
	)

	It("queues_max may be 0, and then no queue can be made: ENOSPC", row(36), func() {
		Expect(inside.SetLimit("fs/mqueue/queues_max", "0")).To(Succeed())
		Expect(mq.Open(newName(), newOne, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 16})).Error().To(And(
			MatchError(unix.ENOSPC), MatchError(ContainSubstring("(queues_max 0)"))))
	})

	It("Each IPC namespace has its own limits, which an ordinary user may change in one of his own", row(37), func() {
		p := startPeer(inNamespaces(unix.CLONE_NEWUSER | unix.CLONE_NEWIPC))
		before := must(os.ReadFile("/proc/sys/fs/mqueue/msg_max"))
		must(p.do(order{Call: "write file", Name: "/proc/sys/fs/mqueue/msg_max", Text: "77"}))
		must(p.do(order{Call: "open", Name: "/deep", Flags: newOne, MaxMsg: 77, Size: 1}))
		Expect(os.ReadFile("/proc/sys/fs/mqueue/msg_max")).To(Equal(before))
	})

	It("In another IPC namespace the name means nothing, ENOENT; an inherited descriptor works", row(38), func() {
		b := openBlocking(newQueue(1, 16).Name(), os.O_RDWR)
		p := startPeer(inNamespaces(unix.CLONE_NEWIPC), inherits(duplicateFor(number(b))))

		Expect(p.open(b.Name(), os.O_RDWR)).Error().To(MatchError(unix.ENOENT))
		Expect(p.send(firstInherited, "from afar")).To(Succeed())

		buf := make([]byte, 16)
		n, _, err := b.Receive(buf)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(buf[:n])).To(Equal("from afar"))
	})
})
