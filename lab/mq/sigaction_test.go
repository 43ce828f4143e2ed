package mq_test

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const saRestart = 0x10000000 // SA_RESTART of <signal.h>

// interrupting makes sig end system calls with EINTR: Go's handlers have SA_RESTART, those of C programs often not.
func interrupting(t *testing.T, sig syscall.Signal) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, sig)
	t.Cleanup(func() { signal.Stop(caught) })

	var action [8]uintptr // the kernel's struct sigaction begins with the handler and the flags
	sigaction(t, sig, nil, &action)
	action[1] &^= saRestart
	sigaction(t, sig, &action, nil)
}

func sigaction(t *testing.T, sig syscall.Signal, set, old *[8]uintptr) {
	t.Helper()
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(set)),
		uintptr(unsafe.Pointer(old)), 8, 0, 0)
	if errno != 0 {
		t.Fatal("rt_sigaction: ", errno)
	}
}
