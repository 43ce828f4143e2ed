package mq_test

import (
	"errors"
	"fmt"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
)

// The values of sigev_notify.
const (
	sigevSignal   = 0
	sigevNone     = 1
	sigevThread   = 2
	sigevThreadID = 4
)

// mailbox is a netlink socket that the kernel puts cookies on. It does so before the call that causes it returns, so
// what is not there after that call will not come.
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

// register registers this process with a cookie that begins with the number.
func (m *mailbox) register(fd int, id byte) error { return rawNotifyThread(fd, m.fd, &cookie{id}) }

// announced is a queue whose next message puts the cookie 1 into the mailbox.
func announced() (*mq.Queue, *mailbox) {
	GinkgoHelper()
	q, box := newQueue(1, 16), newMailbox()
	Expect(box.register(number(q), 1)).To(Succeed())
	return q, box
}

// woken and removed are cookies as they come back.
func woken(id byte) cookie   { return cookie{0: id, 31: byte(mq.Arrived)} }
func removed(id byte) cookie { return cookie{0: id, 31: byte(mq.Removed)} }

// next takes the cookie that has lain there longest. EAGAIN says that there is none.
func (m *mailbox) next() (c cookie, err error) {
	buf := make([]byte, 64)
	n, err := unix.Read(m.fd, buf)
	if err == nil && n != len(c) {
		err = fmt.Errorf("%d bytes", n)
	}
	copy(c[:], buf)
	return c, err
}

// cookies takes all that are there.
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

// file is the mailbox for another process to inherit.
func (m *mailbox) file() *os.File { return duplicateFor(m.fd) }

// duplicateFor makes a duplicate of a descriptor that another process can inherit.
func duplicateFor(fd int) *os.File {
	GinkgoHelper()
	f := os.NewFile(uintptr(must(unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3))), "duplicate")
	DeferCleanup(f.Close)
	return f
}
