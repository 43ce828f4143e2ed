package mq_test

import (
	"math"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	_ "daemonlab/lab/only64"
)

// Bare system calls, for arguments that a package should not let through. Only this file imports unsafe.

// badPointer is an unmapped address.
const badPointer = 1

// timeMax is TIME_T_MAX.
var timeMax = unix.Timespec{Sec: math.MaxInt64}

var past = unix.Timespec{Sec: 1}

// mqAttr is struct mq_attr, eight longs.
type mqAttr struct {
	flags, maxMsg, msgSize, curMsgs int
	reserved                        [4]int
}

// sigevent is struct sigevent of mq_notify(2), 64 bytes.
type sigevent struct {
	value         uintptr
	signo, notify int32
	_             [48]byte
}

// cookie is the 32-byte cookie of SIGEV_THREAD.
type cookie [32]byte

// call is syscall(2). Memory that its arguments point to does not move before it returns.
//
//go:uintptrescapes
func call(trap uintptr, args ...uintptr) (int, error) {
	var a [6]uintptr
	copy(a[:], args)
	n, _, errno := unix.Syscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func outcome(_ int, err error) error { return err }

// rawOpen is mq_open(2), which takes the name without its slash.
func rawOpen(name string, flags int, mode uint32, attr *mqAttr) (int, error) {
	return openWith(name, flags, mode, uintptr(unsafe.Pointer(attr)))
}

// openWith is mq_open(2) with an attr pointer that may be invalid.
//
//go:uintptrescapes
func openWith(name string, flags int, mode uint32, attr uintptr) (int, error) {
	p := append([]byte(name), 0)
	return call(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(&p[0])), uintptr(flags), uintptr(mode), attr)
}

func rawUnlink(name string) error {
	p := append([]byte(name), 0)
	return outcome(call(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(&p[0]))))
}

func rawGetSetAttr(fd int, set, old *mqAttr) error {
	return outcome(call(unix.SYS_MQ_GETSETATTR, uintptr(fd), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old))))
}

func rawSend(fd int, msg []byte, deadline *unix.Timespec) error {
	return sendFrom(fd, uintptr(unsafe.Pointer(unsafe.SliceData(msg))), len(msg), 0, uintptr(unsafe.Pointer(deadline)))
}

// sendFrom is mq_timedsend(2) with buffer and deadline pointers that may be invalid.
//
//go:uintptrescapes
func sendFrom(fd int, buf uintptr, size int, prio uint, deadline uintptr) error {
	return outcome(call(unix.SYS_MQ_TIMEDSEND, uintptr(fd), buf, uintptr(size), uintptr(prio), deadline))
}

func rawReceive(fd int, buf []byte, deadline *unix.Timespec) (int, error) {
	return receiveInto(fd, uintptr(unsafe.Pointer(&buf[0])), len(buf), 0, uintptr(unsafe.Pointer(deadline)))
}

func receiveWithBadPriority(fd int, buf []byte) error {
	return outcome(receiveInto(fd, uintptr(unsafe.Pointer(&buf[0])), len(buf), badPointer, 0))
}

// receiveInto is mq_timedreceive(2) with pointers that may be invalid.
//
//go:uintptrescapes
func receiveInto(fd int, buf uintptr, size int, prio, deadline uintptr) (int, error) {
	return call(unix.SYS_MQ_TIMEDRECEIVE, uintptr(fd), buf, uintptr(size), prio, deadline)
}

// unscheduledReceive is mq_timedreceive(2) without telling Go's scheduler.
func unscheduledReceive(fd int, buf []byte, deadline *unix.Timespec) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])),
		uintptr(len(buf)), 0, uintptr(unsafe.Pointer(deadline)), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// rawNotify is mq_notify(2) with any sigev_notify but SIGEV_THREAD; nil cancels.
func rawNotify(fd int, ev *sigevent) error {
	return outcome(call(unix.SYS_MQ_NOTIFY, uintptr(fd), uintptr(unsafe.Pointer(ev))))
}

// rawNotifyThread is mq_notify(2) with SIGEV_THREAD.
func rawNotifyThread(fd, socket int, c *cookie) error {
	ev := struct {
		cookie        *cookie
		signo, notify int32
		_             [48]byte
	}{cookie: c, signo: int32(socket), notify: sigevThread}
	return outcome(call(unix.SYS_MQ_NOTIFY, uintptr(fd), uintptr(unsafe.Pointer(&ev))))
}

// notifyAtTheEdge is mq_notify(2) with SIGEV_NONE in a sigevent of which only the first bytes are mapped.
func notifyAtTheEdge(fd, readable int) error {
	page := os.Getpagesize()
	pages, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	defer unix.Munmap(pages)
	start := page - readable
	pages[start+12] = sigevNone // sigev_notify
	if err := unix.Mprotect(pages[page:], unix.PROT_NONE); err != nil {
		return err
	}
	return outcome(call(unix.SYS_MQ_NOTIFY, uintptr(fd), uintptr(unsafe.Pointer(&pages[start]))))
}

// saRestart is SA_RESTART of <signal.h>.
const saRestart = 0x10000000

// setRestart sets or clears SA_RESTART on the handler that the Go runtime has for a signal.
func setRestart(sig syscall.Signal, on bool) error {
	var action [8]uintptr // the kernel's struct sigaction starts with handler and flags
	if err := sigaction(sig, nil, &action); err != nil {
		return err
	}
	if action[1] &^= saRestart; on {
		action[1] |= saRestart
	}
	return sigaction(sig, &action, nil)
}

func sigaction(sig syscall.Signal, set, old *[8]uintptr) error {
	return outcome(call(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8))
}

// siginfo of a queue's signal, as signalfd(2) returns it.
type siginfo struct {
	Signo, Code, PID, UID int
	Value                 uint64
}

func readSiginfo(fd int) (siginfo, error) {
	var raw unix.SignalfdSiginfo
	_, err := unix.Read(fd, unsafe.Slice((*byte)(unsafe.Pointer(&raw)), unsafe.Sizeof(raw)))
	return siginfo{Signo: int(raw.Signo), Code: int(raw.Code), PID: int(raw.Pid), UID: int(raw.Uid), Value: raw.Ptr}, err
}

// inotifyEvents returns the mask of all events that an inotify(7) descriptor has ready.
func inotifyEvents(fd int) (mask uint32) {
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return mask
		}
		for at := 0; at < n; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
			mask |= event.Mask
			at += unix.SizeofInotifyEvent + int(event.Len)
		}
	}
}
