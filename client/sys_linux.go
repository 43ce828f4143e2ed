package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sigaction is the kernel's struct sigaction, not libc's.
type sigaction struct {
	handler         uintptr
	flags, restorer uintptr
	mask            uint64
}

var _ [32]byte = [unsafe.Sizeof(sigaction{})]byte{}

// ignoreSignal is for signals that os/signal does not handle.
func ignoreSignal(n uintptr) {
	ignore := sigaction{handler: 1} // SIG_IGN
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, n, uintptr(unsafe.Pointer(&ignore)), 0, unsafe.Sizeof(ignore.mask), 0, 0)
}
