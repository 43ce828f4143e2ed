package sysv

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Error tells which call failed on which queue. Err is the call's errno; errors.Is also matches os.ErrExist,
// os.ErrPermission, and os.ErrNotExist where the queue is no more.
type Error struct {
	Op    string // "msgget", "msgsnd", "msgrcv", or "msgctl" with the operation: "msgctl IPC_RMID"
	Queue string // the number, the key, or both
	Err   error

	gone bool   // there is no such queue
	note string // what Err alone does not say, with the figures of the moment
}

func (e *Error) Error() string {
	reason := e.note
	if reason == "" {
		reason = e.Err.Error()
	}
	return "queue " + e.Queue + ": " + e.Op + ": " + reason
}

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }

// Is has os.ErrNotExist match what the kernel says of a queue that was removed, for which it has no errno of its own.
func (e *Error) Is(target error) bool { return target == os.ErrNotExist && e.gone }

// The texts made here name the figures in force. They are taken when the call fails, because later they may differ.

func (q Queue) explainGet(errno unix.Errno) error {
	e := &Error{Op: "msgget", Queue: "with key " + q.key.String(), Err: errno}
	if q.key == Private {
		e.Queue = "without a key"
	}
	switch errno {
	case unix.ENOENT:
		e.note = "no such queue"
	case unix.EEXIST:
		e.note = "the queue exists already"
	case unix.EACCES:
		e.note = "the queue is another user's and its mode does not allow that"
	case unix.ENOSPC:
		e.note = "the system has as many queues as it allows"
		if l, err := SystemLimits(); err == nil {
			e.note += fmt.Sprintf(" (msgmni %d)", l.MsgMni)
		}
	}
	return e
}

func (q Queue) explainSend(mtype, size int, errno unix.Errno) error {
	e := q.newError("msgsnd", errno)
	switch errno {
	case unix.EAGAIN:
		e.note = "the queue is full"
	case unix.EACCES:
		e.note = "no permission to write"
	case unix.EINVAL:
		switch l, err := SystemLimits(); {
		case mtype < 1:
			e.note = fmt.Sprintf("type %d: the type of a message must be positive", mtype)
		case err == nil && size > l.MsgMax:
			e.note = fmt.Sprintf("a message of %d bytes, the system allows %d (msgmax)", size, l.MsgMax)
		default:
			e.isGone()
		}
	}
	return e
}

func (q Queue) explainReceive(size int, errno unix.Errno) error {
	e := q.newError("msgrcv", errno)
	switch errno {
	case unix.ENOMSG:
		e.note = "no such message is in the queue"
	case unix.E2BIG:
		e.note = fmt.Sprintf("the message is longer than the buffer of %d bytes", size)
	case unix.EACCES:
		e.note = "no permission to read"
	case unix.EINVAL:
		e.isGone()
	}
	return e
}

func (q Queue) explainSet(s Settings, errno unix.Errno) error {
	e := q.explainControl("IPC_SET", errno)
	if l, err := SystemLimits(); errno == unix.EPERM && err == nil && s.MaxBytes > l.MsgMnb {
		e.note = fmt.Sprintf("%d bytes: without CAP_SYS_RESOURCE a queue may have %d (msgmnb)", s.MaxBytes, l.MsgMnb)
	}
	if _, err := q.Look(); errno == unix.EINVAL && err == nil {
		e.gone, e.note = false, fmt.Sprintf("user %d or group %d is none in this user namespace", s.UID, s.GID)
	}
	return e
}

func (q Queue) explainControl(op string, errno unix.Errno) *Error {
	e := q.newError("msgctl "+op, errno)
	switch errno {
	case unix.EPERM:
		e.note = "the queue is another user's"
	case unix.EACCES:
		e.note = "no permission to read"
	case unix.EINVAL:
		e.isGone()
	}
	return e
}

func (q Queue) newError(op string, errno unix.Errno) *Error {
	e := &Error{Op: op, Queue: q.String(), Err: errno}
	if errno == unix.EIDRM {
		e.gone, e.note = true, "the queue was removed"
	}
	return e
}

// isGone is for EINVAL that nothing else explains.
func (e *Error) isGone() { e.gone, e.note = true, "no such queue" }
