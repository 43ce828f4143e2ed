// Package mq_test states how POSIX message queues behave on Linux, and proves each sentence on the kernel it runs on.
// A spec's title is the sentence; its label is the number of the behaviour ("row 109"), from 1 to 149. At its end the
// suite prints which rows it has verified, and why the others are not.
//
// The suite runs in user, IPC and mount namespaces of its own where the system allows that, so that it may change
// limits and mount mqueuefs, and meets no queue of others. The bytes of its queues still count for its user.
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

// must gives the value of a call that succeeds.
func must[T any](value T, err error) T {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred())
	return value
}

// owned is a descriptor that is closed with the spec.
func owned(fd int, err error) int {
	GinkgoHelper()
	DeferCleanup(unix.Close, must(fd, err))
	return fd
}

// newQueue makes a queue that goes with the spec. It is small, because all queues of a user share RLIMIT_MSGQUEUE.
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

// open opens a queue once more, to wait in the poller.
func open(name string, flags int) *mq.Queue {
	GinkgoHelper()
	q := must(mq.Open(name, flags, 0o600, nil))
	DeferCleanup(func() { q.Close() })
	return q
}

// openBlocking opens a queue once more, to wait in the kernel.
func openBlocking(name string, flags int) *mq.Blocking {
	GinkgoHelper()
	b := must(mq.OpenBlocking(name, flags, 0o600, nil))
	DeferCleanup(func() { b.Close() })
	return b
}

// queue is what a Queue and a Blocking have in common.
type queue interface {
	Attr() (mq.Attr, error)
	Control(func(uintptr)) error
	Notify(func(mq.Event)) error
	Status() (mq.Status, error)
	TryReceive([]byte) (int, uint, error)
}

// receive takes a message that must be there.
func receive(q queue) string {
	GinkgoHelper()
	buf := make([]byte, 64)
	n, _, err := q.TryReceive(buf)
	Expect(err).NotTo(HaveOccurred())
	return string(buf[:n])
}

// receiveError is what a call that must not get a message says.
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

// curMsgs is how many messages a queue holds.
func curMsgs(q queue) int {
	GinkgoHelper()
	return must(q.Attr()).CurMsgs
}

// register registers this process and gives what the function is told.
func register(q queue) <-chan mq.Event {
	GinkgoHelper()
	events := make(chan mq.Event, 2)
	Expect(q.Notify(func(ev mq.Event) { events <- ev })).To(Succeed())
	return events
}

// number is the descriptor of a queue, for calls that the package does not offer.
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

// performC has the C program show one thing.
func performC(what string) {
	GinkgoHelper()
	if _, err := exec.LookPath("gcc"); err != nil {
		Skip("there is no gcc")
	}
	program := must(buildC())
	out, err := exec.Command(program, what, newName()).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s: %s", what, out)
}
