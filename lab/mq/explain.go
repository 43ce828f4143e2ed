//go:build linux

package mq

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// These texts give the limits in force, read when the call fails: later they may differ.

// maxPriority is MQ_PRIO_MAX - 1.
const maxPriority = 32767

// explainOpen says which of the limits of mq_overview(7) stopped mq_open(2).
func explainOpen(name string, flags int, attr *Attr, errno unix.Errno) error {
	e := newError("open", name, errno)
	switch errno {
	case unix.EINVAL, unix.EOVERFLOW:
		if flags&unix.O_CREAT != 0 && attr != nil {
			e.note = badShape(*attr)
		}
	case unix.EMFILE:
		e.note = noDescriptor()
		if flags&unix.O_CREAT != 0 && canOpen() {
			e.note = noBytes(attr)
		}
	case unix.ENOSPC:
		if l, err := SystemLimits(); err == nil {
			e.note = fmt.Sprintf("the system has as many queues as it allows (queues_max %d)", l.QueuesMax)
		}
	}
	return e
}

// badShape returns "" if the attributes are not the cause.
func badShape(a Attr) string {
	l, err := SystemLimits()
	switch {
	case a.MaxMsg <= 0 || a.MsgSize <= 0:
		return fmt.Sprintf("%d x %d bytes: both must be positive", a.MaxMsg, a.MsgSize)
	case err != nil || a.MaxMsg <= l.MsgMax && a.MsgSize <= l.MsgSizeMax: // some other reason
		return ""
	}
	return fmt.Sprintf("%d x %d bytes: the system allows %d x %d (msg_max, msgsize_max)", a.MaxMsg, a.MsgSize,
		l.MsgMax, l.MsgSizeMax)
}

// canOpen distinguishes the two meanings of EMFILE: if another descriptor can be opened, RLIMIT_MSGQUEUE was the limit.
func canOpen() bool {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

func noDescriptor() string {
	var rlim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &rlim); err != nil {
		return "too many open files"
	}
	return fmt.Sprintf("too many open files (RLIMIT_NOFILE %d)", rlim.Cur)
}

func noBytes(attr *Attr) string {
	limit, err := msgQueueBytes()
	a, defaultErr := attrOrDefault(attr)
	if err != nil || defaultErr != nil {
		return "too many bytes in queues (RLIMIT_MSGQUEUE)"
	}
	return fmt.Sprintf("no room for %d x %d bytes, which cost %d of the %d bytes that all queues of user %d may have"+
		" (RLIMIT_MSGQUEUE)", a.MaxMsg, a.MsgSize, Cost(a.MaxMsg, a.MsgSize), limit, os.Getuid())
}

// attrOrDefault reads the system's files only for a queue made without attributes: a program that tries shapes until
// one fits fails several times in a row.
func attrOrDefault(attr *Attr) (Attr, error) {
	if attr != nil {
		return *attr, nil
	}
	l, err := SystemLimits()
	return Attr{MaxMsg: min(l.MsgMax, l.MsgDefault), MsgSize: min(l.MsgSizeMax, l.MsgSizeDefault)}, err
}

func (h *handle) explainSend(size int, prio uint, err error) error {
	switch err {
	case nil:
		return nil
	case unix.EAGAIN:
		return h.full
	}
	e := h.explainWait("send", "a message of %d bytes, the queue takes %d", size, err)
	if err == unix.EINVAL {
		e.note = "the deadline is not a valid time"
		if prio > maxPriority {
			e.note = fmt.Sprintf("priority %d, the highest is %d", prio, maxPriority)
		}
	}
	return e
}

func (h *handle) explainReceive(size int, err error) error {
	switch err {
	case nil:
		return nil
	case unix.EAGAIN:
		return h.empty
	}
	return h.explainWait("receive", "a buffer of %d bytes, the queue's messages have up to %d", size, err)
}

// explainWait compares the message's or buffer's size with the queue's.
func (h *handle) explainWait(op, sizes string, size int, err error) *Error {
	if err == unix.EBADF && h.isClosed() { // [Blocking.Close] had replaced the descriptor before the call used it
		err = os.ErrClosed
	}
	e := newError(op, h.name, err)
	if err == unix.EMSGSIZE {
		if a, err := h.Attr(); err == nil {
			e.note = fmt.Sprintf(sizes, size, a.MsgSize)
		}
	}
	return e
}

// explain is for calls that still hold the descriptor.
func (h *handle) explain(op string, err error) error {
	e := newError(op, h.name, err)
	if op == "notify" && err == unix.EBUSY {
		switch s, err := readStatus(h.fd); {
		case err != nil || s.NotifyPID == 0: // opened with O_WRONLY, or the process is in another PID namespace
		case s.NotifyPID == os.Getpid():
			e.note = "this process is already registered"
		default:
			e.note = fmt.Sprintf("process %d is already registered", s.NotifyPID)
		}
	}
	return e
}
