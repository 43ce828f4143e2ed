package ptrace

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// callInfo is the kernel's struct ptrace_syscall_info. At an entry data has the number and the arguments, at an exit the
// result and whether that is an error.
type callInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	ip   uint64
	sp   uint64
	data [8]uint64
}

// Values of op.
const (
	atEntry = 1
	atExit  = 2
)

// getSigMask is PTRACE_GETSIGMASK, which x/sys lacks.
const getSigMask = 0x420a

// getCallInfo works alike on every architecture, which reading registers would not. Linux 5.3 or newer.
func getCallInfo(tid int) (info callInfo, err error) {
	err = request(unix.PTRACE_GET_SYSCALL_INFO, tid, unsafe.Sizeof(info), unsafe.Pointer(&info))
	return info, err
}

// blocked is the set of signals that the thread blocks.
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
