package mq_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"daemonlab/lab/mq"
	"daemonlab/lab/parts"

	"golang.org/x/sys/unix"
)

// patience limits the wait for what must happen; even the slowest machine needs less.
const patience = 5 * time.Minute

// TestMain plays a part in another process when a test asks for it; otherwise it checks that the tests leak no
// descriptors, goroutines or registrations.
func TestMain(m *testing.M) {
	parts.Play()
	warmUp()
	files, goroutines := descriptors(""), runtime.NumGoroutine()
	code := m.Run()
	if code == 0 {
		code = leftOver(files, goroutines)
	}
	os.Exit(code)
}

// warmUp makes what a process makes once and keeps: the poller, a netlink socket and its reader.
func warmUp() {
	name := newName()
	q, err := create(name, &mq.Attr{MaxMsg: 1, MsgSize: 1})
	if err != nil {
		panic(err)
	}
	removed := make(chan mq.Event)
	if err := errors.Join(mq.Unlink(name), q.Notify(func(ev mq.Event) { removed <- ev }), q.Close()); err != nil {
		panic(err)
	}
	<-removed
}

func leftOver(files, goroutines int) int {
	sockets := mq.Sockets() - 1 // each beyond the first has a descriptor and a goroutine, and stays
	if poll(func() bool {
		return mq.Pending() == 0 && descriptors("") <= files+sockets && runtime.NumGoroutine() <= goroutines+sockets
	}) {
		return 0
	}
	fmt.Fprintf(os.Stderr, "left over: %d registrations, %d descriptors (%d before), %d goroutines (%d before)\n",
		mq.Pending(), descriptors(""), files, runtime.NumGoroutine(), goroutines)
	pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)
	return 1
}

// descriptors counts this process's open files; with a name, those of that queue.
func descriptors(name string) (n int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	for _, e := range entries { // the one that read the directory is closed by now and has no link
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && (name == "" || target == name) {
			n++
		}
	}
	return n
}

var names atomic.Int64

func newName() string { return fmt.Sprintf("/mq-test-%d-%d", os.Getpid(), names.Add(1)) }

// create waits for room: RLIMIT_MSGQUEUE counts the queues of all the user's programs, including those in child
// namespaces, and some of them may be tests that use it up.
func create(name string, attr *mq.Attr) (q *mq.Queue, err error) {
	poll(func() bool {
		q, err = mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, attr)
		return !errors.Is(err, unix.EMFILE)
	})
	return q, err
}

// newQueue makes a queue that is removed at the end of the test.
func newQueue(t testing.TB, maxMsg, msgSize int) *mq.Queue {
	t.Helper()
	name := newName()
	q, err := create(name, &mq.Attr{MaxMsg: maxMsg, MsgSize: msgSize})
	must(t, err)
	t.Cleanup(func() {
		mq.Unlink(name)
		q.Close()
	})
	return q
}

// reopen opens a queue again, for waiting in the poller.
func reopen(t testing.TB, name string, flags int) *mq.Queue {
	t.Helper()
	q, err := mq.Open(name, flags, 0, nil)
	must(t, err)
	t.Cleanup(func() { q.Close() })
	return q
}

// newBlocking opens a queue again, for waiting in the kernel.
func newBlocking(t testing.TB, q *mq.Queue) *mq.Blocking {
	t.Helper()
	b, err := mq.OpenBlocking(q.Name(), os.O_RDWR, 0, nil)
	must(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// err2 returns the error of a receive.
func err2(_ int, _ uint, err error) error { return err }

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// next returns the next value from the channel.
func next[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// poll calls yes until it returns true.
func poll(yes func() bool) bool {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if yes() {
			return true
		}
		<-time.After(100 * time.Microsecond)
	}
	return false
}

func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	if !poll(yes) {
		t.Fatalf("never came true: %s", what)
	}
}

// parked waits until n goroutines are parked in a queue's Send or Receive.
func parked(t testing.TB, n int) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	eventually(t, fmt.Sprintf("%d goroutines wait", n), func() bool {
		waiting := 0
		for g := range bytes.SplitSeq(stacks[:runtime.Stack(stacks, true)], []byte("\n\n")) {
			head, _, _ := bytes.Cut(g, []byte("\n"))
			idle := bytes.Contains(head, []byte("[IO wait")) || bytes.Contains(head, []byte("[select"))
			if idle && bytes.Contains(g, []byte("mq.(*Queue).wait(")) {
				waiting++
			}
		}
		return waiting == n
	})
}

// thread is a goroutine locked to a thread.
type thread struct {
	tid  int
	done chan error
}

func onThread(f func() error) thread {
	tid, done := make(chan int), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tid <- unix.Gettid()
		done <- f()
	}()
	return thread{<-tid, done}
}

// asleep waits until the thread sleeps in the system call with this number.
func (th thread) asleep(t testing.TB, trap int) {
	t.Helper()
	eventually(t, "the thread sleeps in the kernel", func() bool {
		call, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", th.tid))
		must(t, err)
		return strings.HasPrefix(string(call), fmt.Sprint(trap, " "))
	})
}

func (th thread) result(t testing.TB) error {
	t.Helper()
	return next(t, th.done)
}
