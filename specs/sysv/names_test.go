package sysv_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/sysv"
)

var _ = Describe("names and permissions", func() {
	It("finds a queue by a key, a number; mq_open finds one by a name", func() {
		key := newKey()
		q, err := sysv.Get(key, sysv.Create|sysv.Exclusive, 0o600)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(remove, q)
		found, err := sysv.Get(key, 0, 0o600)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.ID()).To(Equal(q.ID()))
		_, err = sysv.Get(key, sysv.Create|sysv.Exclusive, 0o600)
		Expect(err).To(MatchError(os.ErrExist))

		p := newPOSIX()
		again := reopen(p)
		post(p, message{1, "hello"})
		Expect(fetch(again).text).To(Equal("hello"))
		_, err = mq.Open(p.Name(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, nil)
		Expect(err).To(MatchError(os.ErrExist))
	})

	It("makes a queue without a key, IPC_PRIVATE; a POSIX queue always has a name, until mq_unlink", func() {
		first, second := newSysV(), newSysV()
		Expect(first.ID()).NotTo(Equal(second.ID()))
		Expect(status(first).Key).To(Equal(sysv.Private))
		p := newPOSIX()
		Expect(mq.Unlink(p.Name())).To(Succeed())
		post(p, message{1, "still"})
		Expect(fetch(p).text).To(Equal("still"))
	})

	It("has ftok make a key of 16 bits of an inode, so a file replaced has another key; a name says what it is", func() {
		dir := GinkgoT().TempDir()
		name, other := filepath.Join(dir, "name"), filepath.Join(dir, "other")
		before := keyOf(name)
		keyOf(other)
		Expect(os.Rename(other, name)).To(Succeed())
		var st unix.Stat_t
		Expect(unix.Stat(name, &st)).To(Succeed())
		after := keyOf(name)
		Expect(uint32(after) & 0xffff).To(Equal(uint32(st.Ino & 0xffff)))
		Expect(after == before).To(Equal(uint32(before)&0xffff == uint32(st.Ino&0xffff)))
	})

	It("is a number that every process can use at once; a POSIX queue has to be opened or inherited", func() {
		q, p := newSysV(), newPOSIX()
		perform("send by number", q.ID())
		Expect(take(q, 0, 0)).To(Equal(message{1, "by number"}))
		var fd uintptr
		Expect(p.Control(func(n uintptr) { fd = n })).To(Succeed())
		Expect(perform("post by number", fd)).To(Equal("bad file descriptor\n"))
	})

	It("does not give the number of a removed queue to the next; a descriptor's number comes again at once", func() {
		old := newSysV()
		remove(old)
		for range 10 {
			Expect(newSysV().ID()).NotTo(Equal(old.ID()))
		}
		Expect(old.Send(1, nil, 0)).To(And(MatchError(unix.EINVAL), MatchError(os.ErrNotExist)))
		Expect(perform("reuse of descriptors")).To(Equal("the same\n"))
	})

	It("takes no umask from a queue's mode; mq_open does", func() {
		Expect(perform("umask")).To(Equal("msgget: 0622\nmq_open: 0600\n"))
	})

	It("asks for permission at every call; a POSIX queue when it is opened", func() {
		q, p := newSysV(), newPOSIX()
		settings := status(q).Settings()
		settings.Mode = 0 // the owner's bits too
		Expect(q.Set(settings)).To(Succeed())
		Expect(p.Chmod(0)).To(Succeed())
		Expect(withoutCapabilities(func() error { return q.Send(1, nil, sysv.NoWait) })).To(MatchError(unix.EACCES))
		Expect(withoutCapabilities(func() error { return noMessage(q, 0, 0) })).To(MatchError(unix.EACCES))
		Expect(withoutCapabilities(func() error { return p.TimedSend(nil, 1, &past) })).To(Succeed())
		Expect(withoutCapabilities(func() error {
			_, err := mq.Open(p.Name(), os.O_RDWR, 0, nil)
			return err
		})).To(MatchError(unix.EACCES))
	})

	It("lets its owner and its creator remove it, whatever the mode; a POSIX queue its owner", func() {
		needTwoUsers()
		q, p := newSysV(), newPOSIX()
		settings := status(q).Settings()
		settings.Mode = 0o666
		Expect(q.Set(settings)).To(Succeed())
		Expect(p.Chmod(0o666)).To(Succeed())
		Expect(performAs(otherUser, "remove", q.ID(), p.Name())).To(Equal("msgctl: operation not permitted\n" +
			"mq_unlink: permission denied\n"))
		settings.UID, settings.Mode = otherUser, 0
		Expect(q.Set(settings)).To(Succeed())
		Expect(performAs(otherUser, "remove", q.ID(), p.Name())).To(HavePrefix("msgctl: <nil>\n"))
	})

	It("is known in its IPC namespace only, as a POSIX queue is", func() {
		needPrivate()
		key := newKey()
		q, err := sysv.Get(key, sysv.Create, 0o600)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(remove, q)
		p := newPOSIX()
		elsewhere := actor("look for", int32(key), p.Name())
		elsewhere.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWIPC}
		nothing := "msgget: no such file or directory\nmq_open: no such file or directory\n"
		Expect(run(elsewhere)).To(Equal(nothing))
		Expect(perform("look for", int32(key), p.Name())).To(Equal("msgget: <nil>\nmq_open: <nil>\n"))
	})

	It("is listed in /proc/sysvipc/msg, for ipcs(1); a POSIX queue is a file of mqueuefs", func() {
		needPrivate()
		q, p := newSysV(), newPOSIX()
		send(q, message{1, "seven b"})
		post(p, message{1, "seven b"})
		list, err := os.ReadFile("/proc/sysvipc/msg")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(list)).To(MatchRegexp(`(?m)^ +0 +%d +600 +7 +1 `, q.ID()))
		file, err := os.ReadFile(filepath.Join(mountPoint(), p.Name()))
		Expect(err).NotTo(HaveOccurred())
		Expect(string(file)).To(HavePrefix("QSIZE:7 "))
	})

	It("tells who sent and who received last, and when; a POSIX queue does not", func() {
		q, p := newSysV(), newPOSIX()
		send(q, message{1, "x"})
		s := status(q)
		Expect(s.LastSender).To(Equal(os.Getpid()))
		Expect(s.Sent).NotTo(BeZero())
		Expect(s.LastReceiver).To(BeZero())
		Expect(s.Received).To(BeZero())
		take(q, 0, 0)
		Expect(status(q).LastReceiver).To(Equal(os.Getpid()))
		post(p, message{1, "x"})
		Expect(p.Status()).To(Equal(mq.Status{QSize: 1}))
	})
})

// keyOf makes a file and a key of it.
func keyOf(name string) sysv.Key {
	GinkgoHelper()
	f, err := os.OpenFile(name, os.O_RDONLY|os.O_CREATE, 0o600)
	Expect(err).NotTo(HaveOccurred())
	Expect(f.Close()).To(Succeed())
	key, err := sysv.FileKey(name, 'x')
	Expect(err).NotTo(HaveOccurred())
	return key
}

func reopen(p *mq.Blocking) *mq.Blocking {
	GinkgoHelper()
	again, err := mq.OpenBlocking(p.Name(), os.O_RDWR, 0, nil)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(again.Close)
	return again
}

// errno is what the kernel said.
func errno(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

// makeOneOfEach tells whether this process may make queues, and leaves none.
func makeOneOfEach() error {
	q, err := sysv.Get(sysv.Private, sysv.Create, 0o600)
	fmt.Println("msgget:", errno(err))
	if err == nil {
		err = q.Remove()
	}
	name := newName()
	_, openErr := mq.OpenBlocking(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 1})
	fmt.Println("mq_open:", errno(openErr))
	if openErr == nil {
		err = errors.Join(err, mq.Unlink(name))
	}
	return err
}
