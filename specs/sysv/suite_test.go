// Package sysv_test states how System V message queues behave beside POSIX ones, and what the file server that the lab
// begins with does, and proves each sentence. The guide's table "System V queues / POSIX queues" names these specs.
//
// The suite runs in user, IPC and mount namespaces of its own where the system allows that. There it may change limits,
// and what a program has left is everything that is there.
package sysv_test

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
)

// The main thread is the test's. No other goroutine comes there, so every other one can end with its thread.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	playPart()
	os.Exit(m.Run())
}

func TestSystemV(t *testing.T) {
	if os.Getenv(placeVariable) == "" {
		runInside(t)
		return
	}
	if err := settle(); err != nil {
		t.Fatal(err)
	}
	// What nohup(1) ignores, or a shell in the background, the programs would ignore as well. A signal that is caught is
	// reset by execve(2).
	for _, sig := range []os.Signal{unix.SIGHUP, unix.SIGQUIT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	SetDefaultEventuallyTimeout(patience)
	SetDefaultEventuallyPollingInterval(time.Millisecond)
	RegisterFailHandler(Fail)
	const title = "System V message queues on Linux, and a file server over them"
	allSpecs = PreviewSpecs(title)
	RunSpecs(t, title)
}

// patience bounds a wait for what must happen. It costs a spec that passes nothing, and is more than the slowest machine
// needs.
const patience = 2 * time.Minute

// Whatever a spec has made is removed when it ends, by it or by the program that it is about.
var _ = BeforeEach(func() {
	if !private() {
		return
	}
	DeferCleanup(func() {
		left, err := sysv.Queues()
		Expect(err).NotTo(HaveOccurred())
		for _, q := range left {
			sysv.ByID(q.ID).Remove()
		}
		Expect(left).To(BeEmpty(), "queues that the spec has left")
	})
})

// remove removes a queue that may be gone already.
func remove(q sysv.Queue) {
	GinkgoHelper()
	if err := q.Remove(); !errors.Is(err, os.ErrNotExist) {
		Expect(err).NotTo(HaveOccurred())
	}
}
