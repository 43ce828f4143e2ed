package sysv

import (
	"unsafe"

	"golang.org/x/sys/unix"

	_ "daemonlab/lab/only64"
)

// This is the only file of the package that imports unsafe: the four system calls of sysvipc(7), and only what it takes
// to make them from Go. Some may sleep and must tell the scheduler, so all use unix.Syscall.

// msqidDS is struct msqid_ds of msgctl(2) on 64-bit machines. Times are seconds since 1970.
type msqidDS struct {
	perm                unix.SysvIpcPerm
	stime, rtime, ctime int64
	cbytes              uint64
	qnum, qbytes        uint64
	lspid, lrpid        int32
	_                   [2]uint64
}

// Operations of msgctl(2) that x/sys lacks, from <linux/msg.h>.
const (
	msgInfo    = 12 // MSG_INFO
	msgStatAny = 13 // MSG_STAT_ANY, Linux 4.17
)

// long is the size of C's long, which precedes the text in struct msgbuf.
const long = int(unsafe.Sizeof(int(0)))

func sysGet(key Key, flags int) (Queue, unix.Errno) {
	id, _, errno := unix.Syscall(unix.SYS_MSGGET, uintptr(key), uintptr(flags), 0)
	return Queue(int32(id)), errno
}

func sysSend(q Queue, m []byte, size, flags int) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_MSGSND, uintptr(q), uintptr(unsafe.Pointer(&m[0])), uintptr(size),
		uintptr(flags), 0, 0)
	return errno
}

// sysReceive returns the length of the text.
func sysReceive(q Queue, m []byte, size, selector, flags int) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_MSGRCV, uintptr(q), uintptr(unsafe.Pointer(&m[0])), uintptr(size),
		uintptr(selector), uintptr(flags), 0)
	return int(n), errno
}

// sysControl is msgctl(2). For msgStatAny it returns a queue's ID, for msgInfo the highest index in use.
func sysControl(id, op int, ds *msqidDS) (int, unix.Errno) {
	n, _, errno := unix.Syscall(unix.SYS_MSGCTL, uintptr(id), uintptr(op), uintptr(unsafe.Pointer(ds)))
	return int(int32(n)), errno
}
