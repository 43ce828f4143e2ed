package sysv_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/sysv"
)

// newSysV makes a System V queue that goes with the spec.
func newSysV() sysv.Queue {
	GinkgoHelper()
	q, err := sysv.Get(sysv.Private, sysv.Create, 0o600)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(remove, q)
	return q
}

// newKey is a key that leads to no queue.
func newKey() sysv.Key {
	GinkgoHelper()
	for {
		key := sysv.Key(rand.Int32() | 1)
		if _, err := sysv.Get(key, 0, 0); errors.Is(err, os.ErrNotExist) {
			return key
		}
	}
}

var names atomic.Int64

func newName() string { return fmt.Sprintf("/sysv-specs-%d-%d", os.Getpid(), names.Add(1)) }

// newPOSIX makes a POSIX queue that goes with the spec. It is small: all queues of a user share RLIMIT_MSGQUEUE.
func newPOSIX() *mq.Blocking {
	GinkgoHelper()
	name := newName()
	q, err := mq.OpenBlocking(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 4, MsgSize: 64})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		mq.Unlink(name)
		q.Close()
	})
	return q
}

// message is what comes out of a queue of either kind.
type message struct {
	kind int // type or priority
	text string
}

func send(q sysv.Queue, messages ...message) {
	GinkgoHelper()
	for _, m := range messages {
		Expect(q.Send(m.kind, []byte(m.text), sysv.NoWait)).To(Succeed())
	}
}

func post(q *mq.Blocking, messages ...message) {
	GinkgoHelper()
	for _, m := range messages {
		Expect(q.TimedSend([]byte(m.text), uint(m.kind), &past)).To(Succeed())
	}
}

// past is a deadline that has a call return at once.
var past unix.Timespec

// take receives a message that must be there.
func take(q sysv.Queue, selector int, flags sysv.Flag) message {
	GinkgoHelper()
	buf := make([]byte, 64)
	n, mtype, err := q.Receive(buf, selector, flags|sysv.NoWait)
	Expect(err).NotTo(HaveOccurred())
	return message{mtype, string(buf[:n])}
}

// fetch is take for a POSIX queue, which leaves no choice.
func fetch(q *mq.Blocking) message {
	GinkgoHelper()
	buf := make([]byte, 64)
	n, prio, err := q.TimedReceive(buf, &past)
	Expect(err).NotTo(HaveOccurred())
	return message{int(prio), string(buf[:n])}
}

// noMessage is what a call says that finds nothing.
func noMessage(q sysv.Queue, selector int, flags sysv.Flag) error {
	_, _, err := q.Receive(make([]byte, 64), selector, flags|sysv.NoWait)
	return err
}

func takeAll(q sysv.Queue, selector, n int) (all []message) {
	GinkgoHelper()
	for range n {
		all = append(all, take(q, selector, 0))
	}
	return all
}

func fetchAll(q *mq.Blocking, n int) (all []message) {
	GinkgoHelper()
	for range n {
		all = append(all, fetch(q))
	}
	return all
}

func status(q sysv.Queue) sysv.Status {
	GinkgoHelper()
	s, err := q.Look()
	Expect(err).NotTo(HaveOccurred())
	return s
}

// thread is a thread that calls a function and ends.
type thread struct {
	tid  int
	done chan error
}

func startThread(f func() error) thread {
	tid, done := make(chan int), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocks: so the thread ends with the goroutine
		tid <- unix.Gettid()
		done <- f()
	}()
	return thread{<-tid, done}
}

// asleepIn waits until the thread sleeps in a system call.
func (th thread) asleepIn(call int) {
	GinkgoHelper()
	Eventually(sleepsIn).WithArguments(fmt.Sprintf("/proc/self/task/%d", th.tid), call).Should(BeTrue())
}

func sleepsIn(proc string, call int) (bool, error) {
	line, err := os.ReadFile(proc + "/syscall")
	return strings.HasPrefix(string(line), fmt.Sprint(call, " ")), err
}

// result waits for what the function has returned.
func (th thread) result() error {
	GinkgoHelper()
	var err error
	Eventually(th.done).Should(Receive(&err))
	return err
}

// sleepingReceiver is a thread that sleeps in msgrcv.
func sleepingReceiver(q sysv.Queue, flags sysv.Flag) thread {
	GinkgoHelper()
	th := startThread(func() error {
		_, _, err := q.Receive(make([]byte, 64), 0, flags)
		return err
	})
	th.asleepIn(unix.SYS_MSGRCV)
	return th
}

// sleepingMQReceiver is a thread that sleeps in mq_receive.
func sleepingMQReceiver(q *mq.Blocking) thread {
	GinkgoHelper()
	th := startThread(func() error {
		_, _, err := q.Receive(make([]byte, 64))
		return err
	})
	th.asleepIn(unix.SYS_MQ_TIMEDRECEIVE)
	return th
}

// withoutCapabilities calls a function as an ordinary user would, on a thread that nobody uses afterwards.
func withoutCapabilities(f func() error) error {
	return <-startThread(func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		none := make([]unix.CapUserData, 2)
		return errors.Join(os.NewSyscallError("capset", unix.Capset(&header, &none[0])), f())
	}).done
}
