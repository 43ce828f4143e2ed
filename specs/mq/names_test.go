package mq_test

import (
	"os"
	"strings"
	"sync"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/inside"
)

var _ = Describe("A. Names and mq_open: making and opening; O_EXCL", func() {
	It("A queue that mq_open has made takes messages, tells its attributes and can be registered for", row(1), func() {
		q := newQueue(1, 16)
		must(q.Attr())
		events := register(q)
		Expect(q.TrySend([]byte("hello"), 0)).To(Succeed())
		Eventually(events).Should(Receive(Equal(mq.Arrived)))
	})

	It("The same name is the same queue in every process", row(2), func() {
		q := newQueue(1, 16)
		other, fd := peerWith(q, os.O_WRONLY)
		Expect(other.send(fd, "from another")).To(Succeed())
		Expect(receive(q)).To(Equal("from another"))
	})

	It("Without O_CREAT mq_open finds no queue that nobody has made: ENOENT", row(3), func() {
		Expect(mq.Open(newName(), os.O_RDWR, 0, nil)).Error().To(MatchError(unix.ENOENT))
	})

	It("For a queue that exists O_CREAT looks neither at the mode nor at the attributes, even bad ones", row(4), func() {
		q := newQueue(2, 16)
		again := must(mq.Open(q.Name(), os.O_RDWR|os.O_CREATE, 0, &mq.Attr{MaxMsg: -1, MsgSize: 1 << 30}))
		DeferCleanup(again.Close)
		Expect(again.Attr()).To(Equal(mq.Attr{MaxMsg: 2, MsgSize: 16, NonBlock: true}))
	})

	It("O_EXCL refuses a queue that exists: EEXIST", row(5), func() {
		q := newQueue(1, 16)
		Expect(mq.Open(q.Name(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, nil)).Error().To(MatchError(unix.EEXIST))
	})

	It("Of several processes that make the same queue with O_EXCL exactly one wins", row(6), func() {
		racers := []*peer{startPeer(), startPeer(), startPeer()}
		for range 30 {
			name, wins := newName(), make(chan int, len(racers))
			var race sync.WaitGroup
			for _, racer := range racers {
				race.Go(func() {
					defer GinkgoRecover()
					if fd, err := racer.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL); err == nil {
						wins <- fd
						Expect(racer.close(fd)).To(Succeed())
					} else {
						Expect(err).To(MatchError(unix.EEXIST))
					}
				})
			}
			race.Wait()
			Expect(mq.Unlink(name)).To(Succeed())
			Expect(wins).To(HaveLen(1))
		}
	})

	It("O_EXCL without O_CREAT is ignored", row(7), func() {
		q := newQueue(1, 16)
		open(q.Name(), os.O_RDWR|os.O_EXCL)
	})
})

var _ = Describe("A. Names and mq_open: shape; shapes refused and messages kept", func() {
	It("A queue made without attributes has msg_default and msgsize_default, within the limits", row(8), func() {
		for _, c := range []struct {
			msgMax, msgSizeMax string
			want               mq.Attr
		}{
			{"10", "8192", mq.Attr{MaxMsg: 10, MsgSize: 8192, NonBlock: true}},
			{"5", "4096", mq.Attr{MaxMsg: 5, MsgSize: 4096, NonBlock: true}},
			{"500", "8192", mq.Attr{MaxMsg: 10, MsgSize: 8192, NonBlock: true}},
		} {
			Expect(inside.SetLimit("fs/mqueue/msg_max", c.msgMax)).To(Succeed())
			Expect(inside.SetLimit("fs/mqueue/msgsize_max", c.msgSizeMax)).To(Succeed())

			q := create(newName(), nil)

			Expect(q.Attr()).To(Equal(c.want))
			Expect(mq.Unlink(q.Name())).To(Succeed())
			Expect(q.Close()).To(Succeed())
		}
	})

	It("O_NONBLOCK comes from the flags of mq_open, never from mq_flags", row(10), func() {
		name := newName()
		DeferCleanup(mq.Unlink, name)
		fd := owned(rawOpen(name[1:], os.O_RDWR|os.O_CREATE, 0o600, &mqAttr{flags: unix.O_NONBLOCK, maxMsg: 1, msgSize: 16}))
		var attr mqAttr
		Expect(rawGetSetAttr(fd, nil, &attr)).To(Succeed())
		Expect(attr.flags).To(BeZero())
	})

	DescribeTable("sizes that are not positive", func(maxMsg, msgSize int) {
		_, err := mq.Open(newName(), os.O_RDWR|os.O_CREATE, 0o600, &mq.Attr{MaxMsg: maxMsg, MsgSize: msgSize})
		Expect(err).To(MatchError(unix.EINVAL))
	},
		Entry("A queue for no messages cannot be made: EINVAL", row(11), 0, 16),
		Entry("A queue for a negative number of messages cannot be made: EINVAL", row(11), -1, 16),
		Entry("A queue for messages of no bytes cannot be made: EINVAL", row(11), 1, 0),
		Entry("A queue for messages of a negative size cannot be made: EINVAL", row(11), 1, -1),
	)

	It("Opening a queue leaves its messages alone, with O_TRUNC too", row(12), func() {
		q := newQueue(2, 16)
		Expect(q.TrySend([]byte("still here"), 0)).To(Succeed())
		again := open(q.Name(), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
		Expect(curMsgs(again)).To(Equal(1))
		Expect(receive(again)).To(Equal("still here"))
	})
})

var _ = Describe("A. Names and mq_open: access; permission", func() {
	It("O_RDONLY is for receiving only, O_WRONLY for sending only, O_RDWR for both: EBADF", row(13, 14, 15), func() {
		q := newQueue(2, 16)
		both, reader, writer := open(q.Name(), os.O_RDWR), open(q.Name(), os.O_RDONLY), open(q.Name(), os.O_WRONLY)
		other, fd := peerWith(q, os.O_RDONLY)

		for _, sender := range []*mq.Queue{both, writer} {
			for _, receive := range []func() string{
				func() string { return receive(both) },
				func() string { return receive(reader) },
				func() string { return must(other.receive(fd)) },
			} {
				Expect(sender.TrySend([]byte("one"), 0)).To(Succeed())
				Expect(receive()).To(Equal("one"))
			}
		}
		Expect(reader.TrySend(nil, 0)).To(MatchError(unix.EBADF))
		Expect(other.send(fd, "four")).To(MatchError(unix.EBADF))
		Expect(receiveError(writer)).To(MatchError(unix.EBADF))
	})

	It("O_RDWR|O_WRONLY is refused for a queue that exists, but not for one that is made: EINVAL", row(16), func() {
		name := newName()
		made := must(mq.Open(name, os.O_RDWR|os.O_WRONLY|os.O_CREATE, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 16}))
		DeferCleanup(func() { mq.Unlink(name); made.Close() })
		Expect(mq.Open(name, os.O_RDWR|os.O_WRONLY, 0, nil)).Error().To(MatchError(unix.EINVAL))
	})

	It("Receiving wants read permission and sending write permission, whatever O_CREAT says: EACCES", row(17), func() {
		q := newQueue(1, 16)
		attempt := func(flags int) error {
			return inside.WithoutCapabilities(func() error {
				again, err := mq.Open(q.Name(), flags, 0o600, nil)
				if err == nil {
					again.Close()
				}
				return err
			})
		}

		Expect(q.Chmod(0o400)).To(Succeed())
		Expect(attempt(os.O_RDONLY)).To(Succeed())
		Expect(attempt(os.O_WRONLY)).To(MatchError(unix.EACCES))
		Expect(attempt(os.O_RDWR)).To(MatchError(unix.EACCES))
		Expect(attempt(os.O_RDWR | os.O_CREATE)).To(MatchError(unix.EACCES))

		Expect(q.Chmod(0o200)).To(Succeed())
		Expect(attempt(os.O_WRONLY)).To(Succeed())
		Expect(attempt(os.O_RDONLY)).To(MatchError(unix.EACCES))
	})
})

var _ = Describe("A. Names and mq_open: mode and owner; names", func() {
	It("The umask is taken from the mode, from its nine permission bits only", row(18), func() {
		old := syscall.Umask(0o027)
		DeferCleanup(syscall.Umask, old)
		name := newName()
		DeferCleanup(mq.Unlink, name)

		fd := owned(rawOpen(name[1:], os.O_RDWR|os.O_CREATE, 0o7777, &mqAttr{maxMsg: 1, msgSize: 16}))
		var st unix.Stat_t
		Expect(unix.Fstat(fd, &st)).To(Succeed())
		Expect(st.Mode & 0o7777).To(Equal(uint32(0o7750)))
	})

	It("A queue belongs to the user and group that made it", row(19), func() {
		st := must(newQueue(1, 16).Stat())
		Expect([]int{int(st.Uid), int(st.Gid)}).To(Equal([]int{os.Geteuid(), os.Getegid()}))
	})

	It("A queue belongs to its maker's file system user and group, not to the real or effective ones", row(19), func() {
		inside.NeedTwoUsers()
		name := newName()
		DeferCleanup(mq.Unlink, name)
		var st unix.Stat_t
		Expect(onThread(func() error {
			unix.Setfsgid(inside.OtherUser) // while the thread still may
			unix.Setfsuid(inside.OtherUser)
			q, err := mq.Open(name, os.O_RDWR|os.O_CREATE, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 16})
			if err != nil {
				return err
			}
			defer q.Close()
			st, err = q.Stat()
			return err
		})).To(Succeed())
		Expect([]uint32{st.Uid, st.Gid}).To(Equal([]uint32{inside.OtherUser, inside.OtherUser}))
	})

	It("The C library wants a leading slash, and so does the package: EINVAL", row(20), func() {
		for _, name := range []string{"", "name"} {
			Expect(mq.Open(name, os.O_RDWR|os.O_CREATE, 0o600, nil)).Error().To(MatchError(unix.EINVAL))
		}
		performC("name without a slash")
	})

	It("The kernel takes the name without its slash; any other bytes are legal", row(21), func() {
		for name, want := range map[string]error{
			"/a": unix.EACCES, "": unix.ENOENT, "a/b": unix.EACCES, ".": unix.EACCES, "..": unix.EACCES,
		} {
			_, err := rawOpen(name, os.O_RDWR|os.O_CREATE, 0o600, &mqAttr{maxMsg: 1, msgSize: 16})
			Expect(err).To(MatchError(want), "%q", name)
		}

		odd := newName()[1:] + " \n\t\xff"
		fd := must(rawOpen(odd, os.O_RDWR|os.O_CREATE, 0o600, &mqAttr{maxMsg: 1, msgSize: 16}))
		Expect(unix.Close(fd)).To(Succeed())
		Expect(mq.Unlink("/" + odd)).To(Succeed())
	})

	It("There is no queue named / and no second slash in a name: ENOENT, EACCES", row(22), func() {
		for name, want := range map[string]error{"/": unix.ENOENT, "/a/b": unix.EACCES, "//a": unix.EACCES} {
			_, err := mq.Open(name, os.O_RDWR|os.O_CREATE, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 16})
			Expect(err).To(MatchError(want), name)
		}
	})
})

var _ = Describe("A. Names and mq_open: lengths and descriptors; what else it reads and sets", func() {
	It("A name has up to 255 bytes after the slash: ENAMETOOLONG", row(23), func() {
		longest := (newName() + strings.Repeat("x", 255))[:256]
		create(longest, &mq.Attr{MaxMsg: 1, MsgSize: 16})
		for _, name := range []string{longest + "x", "/" + strings.Repeat("x", 2*unix.PathMax)} {
			_, err := mq.Open(name, os.O_RDWR|os.O_CREATE, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 16})
			Expect(err).To(MatchError(unix.ENAMETOOLONG))
		}
	})

	It("An mq_open that finds no free descriptor leaves no queue behind: EMFILE", row(24), func() {
		other, name := startPeer(), newName()
		other.limit(unix.RLIMIT_NOFILE, 0)
		Expect(other.open(name, os.O_RDWR|os.O_CREATE)).Error().To(MatchError(unix.EMFILE))
		Expect(mq.Unlink(name)).To(MatchError(unix.ENOENT))
	})

	It("Every descriptor of a queue is close-on-exec, asked for or not", row(25), func() {
		fd := owned(rawOpen(newQueue(1, 16).Name()[1:], os.O_RDWR, 0, nil))
		Expect(unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)).To(Equal(unix.FD_CLOEXEC))
	})

	It("mq_open reads the attributes even without O_CREAT: EFAULT for a bad pointer", row(26), func() {
		Expect(openWith(newQueue(1, 16).Name()[1:], os.O_RDWR, 0, badPointer)).Error().To(MatchError(unix.EFAULT))
	})

	It("mq_open sets no O_NONBLOCK; a package that does shows it to all who share the descriptor", row(27), func() {
		name := newQueue(1, 16).Name()
		kernels := openBlocking(name, os.O_RDWR)
		pollers := open(name, os.O_RDWR)
		shared := owned(unix.Dup(number(pollers)))

		flags := must(unix.FcntlInt(uintptr(shared), unix.F_GETFL, 0))
		Expect(flags & unix.O_NONBLOCK).NotTo(BeZero())
		attr := must(kernels.Attr())
		Expect(attr.NonBlock).To(BeFalse())
	})

	It("In mqueuefs open(2) makes a queue, unlink(2) removes it; rename, link, mkdir do not work: EPERM", row(28),
		func() {
			name := newName()
			path := inside.QueueFile(name)
			fd := must(unix.Open(path, os.O_RDWR|os.O_CREATE, 0o600))
			DeferCleanup(func() { mq.Unlink(name) })
			Expect(unix.Close(fd)).To(Succeed())
			l := must(mq.SystemLimits())
			Expect(open(name, os.O_RDWR).Attr()).To(HaveField("MaxMsg", min(l.MsgMax, l.MsgDefault)))

			Expect(os.Rename(path, path+"-2")).To(MatchError(unix.EPERM))
			Expect(os.Link(path, path+"-2")).To(MatchError(unix.EPERM))
			Expect(os.Mkdir(path+"-2", 0o700)).To(MatchError(unix.EPERM))

			Expect(os.Remove(path)).To(Succeed())
			Expect(mq.Unlink(name)).To(MatchError(unix.ENOENT))
		})
})
