// Package mq_test states how POSIX message queues behave on Linux, and proves each sentence on the running kernel. A
// spec's title is the sentence; its label is the number of the behaviour ("row 109"), from 1 to 149. At the end the
// suite prints which rows it has verified, and why the others are not.
//
// The suite runs in user, IPC and mount namespaces of its own where the system allows that, so it may change limits,
// mount mqueuefs, and sees no other queues. The bytes of its queues still count against its user.
package mq_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/parts"
	"daemonlab/specs/inside"
)

func TestMain(m *testing.M) {
	parts.Play()
	os.Exit(m.Run())
}

func TestMessageQueues(t *testing.T) {
	inside.Run(t, "POSIX message queues on Linux", func(string) error { return nil })
}

var names atomic.Int64

func newName() string { return fmt.Sprintf("/mq-specs-%d-%d", os.Getpid(), names.Add(1)) }

// must returns the value of a call that must succeed.
func must[T any](value T, err error) T {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred())
	return value
}

// owned closes a descriptor when the spec ends.
func owned(fd int, err error) int {
	GinkgoHelper()
	DeferCleanup(unix.Close, must(fd, err))
	return fd
}

// newQueue creates a queue that is removed when the spec ends. It is small: all queues of a user share
// RLIMIT_MSGQUEUE.
func newQueue(maxMsg, msgSize int) *mq.Queue {
	GinkgoHelper()
	return create(newName(), &mq.Attr{MaxMsg: maxMsg, MsgSize: msgSize})
}

func create(name string, attr *mq.Attr) *mq.Queue {
	GinkgoHelper()
	q := must(mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, attr))
	DeferCleanup(func() {
		mq.Unlink(name)
		q.Close()
	})
	return q
}

// open opens a queue again, non-blocking, in Go's poller.
func open(name string, flags int) *mq.Queue {
	GinkgoHelper()
	q := must(mq.Open(name, flags, 0o600, nil))
	DeferCleanup(func() { q.Close() })
	return q
}

// openBlocking opens a queue again, to block in the kernel.
func openBlocking(name string, flags int) *mq.Blocking {
	GinkgoHelper()
	b := must(mq.OpenBlocking(name, flags, 0o600, nil))
	DeferCleanup(func() { b.Close() })
	return b
}

// queue is what Queue and Blocking have in common.
type queue interface {
	Attr() (mq.Attr, error)
	Control(func(uintptr)) error
	Notify(func(mq.Event)) error
	Status() (mq.Status, error)
	TryReceive([]byte) (int, uint, error)
}

// receive receives a message that must be there.
func receive(q queue) string {
	GinkgoHelper()
	buf := make([]byte, 64)
	n, _, err := q.TryReceive(buf)
	Expect(err).NotTo(HaveOccurred())
	return string(buf[:n])
}

// receiveError returns the error of a receive that must not get a message.
func receiveError(q queue) error {
	_, _, err := q.TryReceive(make([]byte, 64))
	return err
}

// registered reports whether a process is registered. A message that is announced ends the registration before mq_send
// returns, so a look right after a send proves that there was none.
func registered(q queue) bool {
	GinkgoHelper()
	return must(q.Status()).Registered()
}

// curMsgs is mq_curmsgs.
func curMsgs(q queue) int {
	GinkgoHelper()
	return must(q.Attr()).CurMsgs
}

// register registers this process and returns the events that its function gets.
func register(q queue) <-chan mq.Event {
	GinkgoHelper()
	events := make(chan mq.Event, 2)
	Expect(q.Notify(func(ev mq.Event) { events <- ev })).To(Succeed())
	return events
}

// number returns a queue's descriptor, for calls that the package does not offer.
func number(q queue) (fd int) {
	GinkgoHelper()
	Expect(q.Control(func(n uintptr) { fd = int(n) })).To(Succeed())
	return fd
}

// buildC builds testdata/glibc.c once.
var buildC = sync.OnceValues(func() (string, error) {
	program := filepath.Join(inside.Place(), "glibc")
	out, err := exec.Command("gcc", "-O1", "-Wall", "-pthread", "-o", program, "testdata/glibc.c", "-lrt").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("gcc: %w\n%s", err, out)
	}
	return program, err
})

// performC runs one demonstration of the C program.
func performC(what string) {
	GinkgoHelper()
	if _, err := exec.LookPath("gcc"); err != nil {
		Skip("there is no gcc")
	}
	program := must(buildC())
	out, err := exec.Command(program, what, newName()).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s: %s", what, out)
}
