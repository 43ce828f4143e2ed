package ptrace

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// callInfo is the kernel's struct ptrace_syscall_info. At entry data has the number and the arguments, at exit the
// result and whether it is an error.
type callInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	ip   uint64
	sp   uint64
	data [8]uint64
}

// op.
const (
	atEntry = 1
	atExit  = 2
)

// getSigMask is PTRACE_GETSIGMASK, which x/sys lacks.
const getSigMask = 0x420a

// getCallInfo works on every architecture alike, unlike reading registers. It needs Linux 5.3.
func getCallInfo(tid int) (info callInfo, err error) {
	err = request(unix.PTRACE_GET_SYSCALL_INFO, tid, unsafe.Sizeof(info), unsafe.Pointer(&info))
	return info, err
}

// blocked returns the thread's blocked signals.
func blocked(tid int) (set uint64) {
	request(getSigMask, tid, unsafe.Sizeof(set), unsafe.Pointer(&set))
	return set
}

func request(what, tid int, address uintptr, data unsafe.Pointer) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(what), uintptr(tid), address, uintptr(data), 0, 0)
	if errno != 0 {
		return fmt.Errorf("ptrace %#x of %d: %w", what, tid, errno)
	}
	return nil
}
