//go:build linux

package mq

import (
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Attr is struct mq_attr. MaxMsg (messages) and MsgSize (bytes per message) are fixed when the queue is made; CurMsgs
// (messages in the queue) and NonBlock (O_NONBLOCK on this open file description) are read-only.
type Attr struct {
	MaxMsg, MsgSize, CurMsgs int
	NonBlock                 bool
}

// handle is the common part of [Queue] and [Blocking]: an open descriptor of a queue.
type handle struct {
	name        string
	fd          int
	full, empty *Error // allocated once: a full or an empty queue must not cost an allocation

	mu     sync.RWMutex // read-locked by calls that cannot sleep long, write-locked to set closed
	closed bool
}

func (h *handle) init(name string, fd int) {
	h.name, h.fd = name, fd
	h.full, h.empty = newError("send", name, unix.EAGAIN), newError("receive", name, unix.EAGAIN)
}

// use calls f with the descriptor and keeps it open meanwhile.
func (h *handle) use(op string, f func(fd int) error) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return newError(op, h.name, os.ErrClosed)
	}
	if err := f(h.fd); err != nil {
		return h.explain(op, err)
	}
	return nil
}

// shut marks the handle closed, after the calls that hold mu.
func (h *handle) shut() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return newError("close", h.name, os.ErrClosed)
	}
	h.closed = true
	runtime.SetFinalizer(h, nil)
	return nil
}

func (h *handle) isClosed() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.closed
}

// TrySend is mq_send(3) with O_NONBLOCK, whether that is set or not: a full queue gives EAGAIN at once. As it never
// blocks, it need not tell Go's scheduler, which makes it faster.
func (h *handle) TrySend(msg []byte, prio uint) error {
	return h.explainSend(len(msg), prio, h.trySend(msg, prio))
}

func (h *handle) trySend(msg []byte, prio uint) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return os.ErrClosed
	}
	return failure(sysTrySend(h.fd, msg, prio))
}

// TryReceive is mq_receive(3) with O_NONBLOCK: an empty queue gives EAGAIN at once. See TrySend.
func (h *handle) TryReceive(buf []byte) (n int, prio uint, err error) {
	n, prio, err = h.tryReceive(buf)
	return n, prio, h.explainReceive(len(buf), err)
}

func (h *handle) tryReceive(buf []byte) (int, uint, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return 0, 0, os.ErrClosed
	}
	n, prio, errno := sysTryReceive(h.fd, buf)
	return n, prio, failure(errno)
}

// Name returns the name the queue was opened by. It may since be unlinked, or belong to another queue.
func (h *handle) Name() string { return h.name }

// Attr is mq_getattr(3).
func (h *handle) Attr() (Attr, error) {
	var a mqAttr
	err := h.use("getattr", func(fd int) error { return failure(sysGetSetAttr(fd, nil, &a)) })
	return a.attr(), err
}

func (a *mqAttr) attr() Attr {
	return Attr{MaxMsg: a.maxMsg, MsgSize: a.msgSize, CurMsgs: a.curMsgs, NonBlock: a.flags&unix.O_NONBLOCK != 0}
}

// Status reads the line that mqueuefs shows for the queue. It uses the open descriptor, because closing any other of
// the queue, even one from opening its file, would end this process's registration. A queue opened with O_WRONLY gives
// EBADF.
func (h *handle) Status() (Status, error) {
	var s Status
	err := h.use("status", func(fd int) (err error) {
		s, err = readStatus(fd)
		return err
	})
	return s, err
}

// Chmod is fchmod(2) with the permission bits of mode. Unlike [Open] it is not subject to the umask.
func (h *handle) Chmod(mode os.FileMode) error {
	return h.use("chmod", func(fd int) error { return unix.Fchmod(fd, uint32(mode.Perm())) })
}

// Stat is fstat(2): the queue's owner and mode, and whether it still has a name (Nlink 0: unlinked).
func (h *handle) Stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	err := h.use("stat", func(fd int) error { return unix.Fstat(fd, &st) })
	return st, err
}

// Control calls f with the descriptor, for what the package does not offer. The handle keeps ownership: f must not
// close it, keep it, block, or call other methods. Closing a duplicate ends this process's registration.
func (h *handle) Control(f func(fd uintptr)) error {
	return h.use("control", func(fd int) error {
		f(uintptr(fd))
		return nil
	})
}
