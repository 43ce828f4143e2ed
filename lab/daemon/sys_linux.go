package daemon

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sigaction is the kernel's struct sigaction, not libc's: handler, flags, restorer, mask.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	sigDfl = 0
	sigIgn = 1
)

func isIgnored(sig int) (bool, error) {
	var act sigaction
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(&act)),
		unsafe.Sizeof(act.mask), 0, 0)
	return act.handler == sigIgn, toError(errno)
}

func setDefault(sig int) error {
	act := sigaction{handler: sigDfl}
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&act)), 0,
		unsafe.Sizeof(act.mask), 0, 0)
	return toError(errno)
}

//lab:begin

// dropCapabilities empties the permitted, effective and inheritable sets of every thread: capset(2) acts on one.
// ENOTSUP means that the program is linked with cgo, in which Go cannot reach every thread.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)),
		uintptr(unsafe.Pointer(&none[0])), 0)
	return toError(errno)
}

//lab:end

//lab:begin session orphan

// rawFork is fork(2), of the calling thread alone: middle.go says what the child may do, with the calls below.
//
//go:norace
//go:nosplit
func rawFork() (pid int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	return int(r), errno
}

//go:norace
//go:nosplit
func setsid() syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
	return errno
}

// putAt duplicates a descriptor to a number, at which it stays open across exec.
//
//go:norace
//go:nosplit
func putAt(fd, number int) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_DUP3, uintptr(fd), uintptr(number), 0)
	return errno
}

//go:norace
//go:nosplit
func exit(status uintptr) {
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, status, 0, 0)
	}
}

// execute is execve(2).
//
//go:norace
//go:nosplit
func execute(p *program) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(p.path)),
		uintptr(unsafe.Pointer(unsafe.SliceData(p.argv))), uintptr(unsafe.Pointer(unsafe.SliceData(p.envv))))
	return errno
}

// tell writes the failure to the readiness pipe.
//
//go:norace
//go:nosplit
func tell(p *program) {
	unix.RawSyscall(unix.SYS_WRITE, uintptr(p.pipe), uintptr(unsafe.Pointer(&p.failure)), unsafe.Sizeof(p.failure))
}

//lab:end

func toError(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
