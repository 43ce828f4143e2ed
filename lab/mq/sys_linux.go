//go:build linux

package mq

import (
	"math"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This is the only file of the package that imports unsafe: the six system calls of mq_overview(7), and only what it
// takes to make them from Go.

// mqAttr is struct mq_attr: eight longs, of which the kernel zeroes the last four.
type mqAttr struct {
	flags, maxMsg, msgSize, curMsgs int
	_                               [4]int
}

// sigevent is struct sigevent as mq_notify(2) copies it: always 64 bytes.
type sigevent struct {
	value         uintptr
	signo, notify int32
	_             [48]byte
}

// The kernel copies this many bytes.
var (
	_ [64]byte = [unsafe.Sizeof(mqAttr{})]byte{}
	_ [64]byte = [unsafe.Sizeof(sigevent{})]byte{}
)

// rawLimit is the longest buffer passed to the kernel without telling the scheduler. Copying it takes a few
// microseconds, which a stop-the-world can wait for.
const rawLimit = 64 << 10

// expired is always past: a call with this deadline does not sleep, even without O_NONBLOCK.
var expired unix.Timespec

// sysOpen and sysUnlink take a name as returned by kernelName.
func sysOpen(name string, flags int, perm uint32, attr *mqAttr) (int, unix.Errno) {
	p := append([]byte(name), 0)
	fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(&p[0])), uintptr(flags), uintptr(perm),
		uintptr(unsafe.Pointer(attr)), 0, 0)
	return int(fd), errno
}

func sysUnlink(name string) unix.Errno {
	p := append([]byte(name), 0)
	_, _, errno := unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(&p[0])), 0, 0)
	return errno
}

// sysGetSetAttr is mq_getsetattr(2). It takes one spin lock and never sleeps.
func sysGetSetAttr(fd int, set, old *mqAttr) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_MQ_GETSETATTR, uintptr(fd), uintptr(unsafe.Pointer(set)),
		uintptr(unsafe.Pointer(old)))
	return errno
}

// sysTrySend is mq_timedsend(2) with a past deadline: it never sleeps, even if somebody who shares the open file
// description has cleared O_NONBLOCK. The scheduler is not told. EAGAIN means that the queue is full.
func sysTrySend(fd int, msg []byte, prio uint) unix.Errno {
	if len(msg) > rawLimit {
		return orAgain(sysSend(fd, msg, prio, &expired))
	}
	raceRelease()
	_, _, errno := unix.RawSyscall6(unix.SYS_MQ_TIMEDSEND, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(msg))),
		uintptr(len(msg)), priority(prio), uintptr(unsafe.Pointer(&expired)), 0)
	return orAgain(errno)
}

// sysTryReceive is mq_timedreceive(2) that never sleeps; see sysTrySend. EAGAIN means that the queue is empty.
func sysTryReceive(fd int, buf []byte) (int, uint, unix.Errno) {
	if len(buf) > rawLimit {
		n, prio, errno := sysReceive(fd, buf, &expired)
		return n, prio, orAgain(errno)
	}
	var prio uint32
	n, _, errno := unix.RawSyscall6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))),
		uintptr(len(buf)), uintptr(unsafe.Pointer(&prio)), uintptr(unsafe.Pointer(&expired)), 0)
	if errno != 0 {
		return 0, 0, orAgain(errno)
	}
	raceAcquire()
	return int(n), uint(prio), 0
}

// sysSend is mq_timedsend(2): it may sleep, so the scheduler is told.
func sysSend(fd int, msg []byte, prio uint, deadline *unix.Timespec) unix.Errno {
	raceRelease()
	_, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDSEND, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(msg))),
		uintptr(len(msg)), priority(prio), uintptr(unsafe.Pointer(deadline)), 0)
	return errno
}

// sysReceive is mq_timedreceive(2): it may sleep, so the scheduler is told.
func sysReceive(fd int, buf []byte, deadline *unix.Timespec) (int, uint, unix.Errno) {
	var prio uint32
	n, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))),
		uintptr(len(buf)), uintptr(unsafe.Pointer(&prio)), uintptr(unsafe.Pointer(deadline)), 0)
	if errno != 0 {
		return 0, 0, errno
	}
	raceAcquire()
	return int(n), uint(prio), 0
}

// sysNotify is mq_notify(2) with SIGEV_NONE or SIGEV_SIGNAL; a nil event cancels.
func sysNotify(fd int, ev *sigevent) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_MQ_NOTIFY, uintptr(fd), uintptr(unsafe.Pointer(ev)), 0)
	return errno
}

// sysNotifyThread is mq_notify(2) with SIGEV_THREAD. The kernel copies the cookie before it returns. It sleeps when
// the socket's buffer is full (netlink_attachskb).
func sysNotifyThread(fd, socket int, c *cookie) unix.Errno {
	ev := struct {
		cookie        *cookie
		signo, notify int32
		_             [48]byte
	}{cookie: c, signo: int32(socket), notify: int32(SigevThread)}
	_, _, errno := unix.Syscall(unix.SYS_MQ_NOTIFY, uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0)
	runtime.KeepAlive(c)
	return errno
}

// priority keeps a number too large for the kernel's unsigned int too large, instead of truncating it to a valid one.
func priority(prio uint) uintptr { return uintptr(min(prio, math.MaxUint32)) }

// orAgain turns ETIMEDOUT into EAGAIN: only the expired deadline kept the call from sleeping.
func orAgain(errno unix.Errno) unix.Errno {
	if errno == unix.ETIMEDOUT {
		return unix.EAGAIN
	}
	return errno
}
