package sysv_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
)

// patience is how long a test waits for what must happen before it says that it does not. It costs a test that passes
// nothing, and is more than the slowest machine needs.
const patience = 5 * time.Minute

// partVariable has this program play a part in another process.
const partVariable = "SYSV_TEST_PART"

// TestMain sees to it that no queue of the tests is left.
func TestMain(m *testing.M) {
	if part := os.Getenv(partVariable); part != "" {
		if err := parts[part](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	for _, q := range made.all {
		if _, err := q.Look(); err == nil {
			fmt.Fprintf(os.Stderr, "queue %v is left over\n", q)
			q.Remove()
			code = 1
		}
	}
	os.Exit(code)
}

var made struct {
	sync.Mutex
	all []sysv.Queue
}

// newQueue makes a queue that goes with the test.
func newQueue(t testing.TB) sysv.Queue {
	t.Helper()
	q, err := sysv.Get(sysv.Private, sysv.Create, 0o600)
	must(t, err)
	made.Lock()
	made.all = append(made.all, q)
	made.Unlock()
	t.Cleanup(func() {
		if err := q.Remove(); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
	return q
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// wantError fails unless err matches the one wanted and reads as it should.
func wantError(t testing.TB, err, want error, text string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	} else if err.Error() != text {
		t.Errorf("it reads %q, it should %q", err, text)
	}
}

// next gives what comes through the channel.
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

func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !yes(); <-time.After(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

// thread is a goroutine with a thread of its own.
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

// asleep waits until the thread sleeps in a system call that has the number.
func (th thread) asleep(t testing.TB, trap int) {
	t.Helper()
	eventually(t, "the thread sleeps in the kernel", func() bool {
		call, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", th.tid))
		must(t, err)
		return strings.HasPrefix(string(call), fmt.Sprint(trap, " "))
	})
}

// parts are what another process can be asked to do.
var parts = map[string]func() error{}

// alone runs a part in a user and an IPC namespace of its own, where the limits can be changed.
func alone(t *testing.T, part string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe") // by this path also where the binary's directory is closed to the user
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", partVariable+"="+part)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
		t.Skipf("this system gives no user namespace: %v", err)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", part, err, out)
	}
}
