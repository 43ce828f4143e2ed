package sysv

import (
	"unsafe"

	"golang.org/x/sys/unix"

	_ "daemonlab/lab/only64"
)

// This is the only file of the package that imports unsafe: the four system calls of sysvipc(7), with nothing added but
// what is needed to call them from Go. Those that may sleep tell the scheduler, so all go through unix.Syscall.

// msqidDS is struct msqid_ds of msgctl(2), on 64-bit machines. Times are seconds since 1970.
type msqidDS struct {
	perm                unix.SysvIpcPerm
	stime, rtime, ctime int64
	cbytes              uint64
	qnum, qbytes        uint64
	lspid, lrpid        int32
	_                   [2]uint64
}

// msgInfo is struct msginfo of msgctl(2). The kernel fills what is named here; the rest has no meaning any more.
type msgInfo struct {
	_, _                   int32
	msgmax, msgmnb, msgmni int32
	_, _                   int32
	_                      uint16
}

// Operations of msgctl(2) that x/sys lacks, from <linux/msg.h> and <linux/ipc.h>.
const (
	ipcInfo    = 3
	msgInfoAll = 12 // MSG_INFO
	msgStatAny = 13 // MSG_STAT_ANY, Linux 4.17
)

// message is struct msgbuf: a long that is the type, and the text behind it. It is made of longs, because the first of
// them must be aligned as one.
type message []int

const long = int(unsafe.Sizeof(int(0)))

// newMessage makes room for a text of size bytes. The text has an address even if it is empty.
func newMessage(size int) message { return make(message, 2+size/long) }

// room is how long a text can be, in bytes; negative where not even an empty one fits.
func (m message) room() int { return (len(m) - 1) * long }

func (m message) text(size int) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&m[1])), size) }

func sysGet(key Key, flags int) (int, unix.Errno) {
	id, _, errno := unix.Syscall(unix.SYS_MSGGET, uintptr(key), uintptr(flags), 0)
	return int(int32(id)), errno
}

// sysSend sends the type m[0] with a text of size bytes.
func sysSend(id int, m message, size, flags int) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_MSGSND, uintptr(id), uintptr(unsafe.Pointer(unsafe.SliceData(m))),
		uintptr(size), uintptr(flags), 0, 0)
	return errno
}

// sysReceive receives a type into m[0] and returns the length of the text behind it.
func sysReceive(id int, m message, size, selector, flags int) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_MSGRCV, uintptr(id), uintptr(unsafe.Pointer(unsafe.SliceData(m))),
		uintptr(size), uintptr(selector), uintptr(flags), 0)
	return int(n), errno
}

// sysControl is msgctl(2) with the operations that take a struct msqid_ds, or nothing. The result is an id where the
// operation is msgStatAny.
func sysControl(id, op int, ds *msqidDS) (int, unix.Errno) {
	n, _, errno := unix.Syscall(unix.SYS_MSGCTL, uintptr(id), uintptr(op), uintptr(unsafe.Pointer(ds)))
	return int(int32(n)), errno
}

// sysInfo is msgctl(2) with the operations that tell of all queues. The result is the highest index in use.
func sysInfo(op int, info *msgInfo) (int, unix.Errno) {
	n, _, errno := unix.Syscall(unix.SYS_MSGCTL, 0, uintptr(op), uintptr(unsafe.Pointer(info)))
	return int(int32(n)), errno
}
