package inside

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// Thread is a thread that calls a function and ends.
type Thread struct {
	TID  int
	Done chan error
}

// StartThread calls a function on a thread that nobody uses afterwards, so it may change what belongs to the thread.
func StartThread(f func() error) Thread {
	tid, done := make(chan int), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocks: so the thread ends with the goroutine
		tid <- unix.Gettid()
		done <- f()
	}()
	return Thread{<-tid, done}
}

// StartAsleep starts a thread that sleeps in a system call of the function.
func StartAsleep(call int, f func() error) Thread {
	ginkgo.GinkgoHelper()
	th := StartThread(f)
	th.AsleepIn(call)
	return th
}

// AsleepIn waits until the thread sleeps in a system call.
func (th Thread) AsleepIn(call int) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(SleepsIn).WithArguments(fmt.Sprintf("/proc/self/task/%d", th.TID), call).Should(gomega.BeTrue())
}

// SleepsIn reports whether a thread, a directory of /proc, sleeps in a system call.
func SleepsIn(proc string, call int) (bool, error) {
	line, err := os.ReadFile(proc + "/syscall")
	return strings.HasPrefix(string(line), fmt.Sprint(call, " ")), err
}

// Result waits for what the function has returned.
func (th Thread) Result() error {
	ginkgo.GinkgoHelper()
	var err error
	gomega.Eventually(th.Done).Should(gomega.Receive(&err))
	return err
}

// Signal signals the thread.
func (th Thread) Signal(sig syscall.Signal) {
	ginkgo.GinkgoHelper()
	gomega.Expect(unix.Tgkill(os.Getpid(), th.TID, sig)).To(gomega.Succeed())
}

// WithoutCapabilities calls a function as an ordinary user would.
func WithoutCapabilities(f func() error) error {
	return StartThread(func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		none := make([]unix.CapUserData, 2)
		return errors.Join(os.NewSyscallError("capset", unix.Capset(&header, &none[0])), f())
	}).Result()
}
