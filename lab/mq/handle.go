//go:build linux

package mq

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Attr is struct mq_attr. MaxMsg (messages) and MsgSize (bytes a message) are chosen when the queue is made; CurMsgs
// (messages in the queue) and NonBlock (O_NONBLOCK on this open file description) are only told.
type Attr struct {
	MaxMsg, MsgSize, CurMsgs int
	NonBlock                 bool
}

// handle is what [Queue] and [Blocking] have in common: an open descriptor of a queue.
type handle struct {
	name string
	*descriptor

	mu     sync.RWMutex // held for reading by calls that cannot sleep long, for writing to set closed
	closed bool
}

// descriptor is what goroutines that wait have of a handle. Nothing that it refers to may refer to the handle, which would
// then never be found to be dropped.
type descriptor struct {
	fd     int
	shared atomic.Bool // others may have the open file description too, and clear O_NONBLOCK

	full, empty again // made once: a full or an empty queue is no reason to allocate

	once  sync.Once
	waits *waits // of a Queue, made by the first caller that has to wait
}

func (h *handle) init(name string, fd int) {
	h.name, h.descriptor = name, &descriptor{fd: fd, full: again{"send", name}, empty: again{"receive", name}}
	// For a handle that is dropped without Close. A runtime.AddCleanup would add 0.7 us to an Open that takes 2.5, where
	// this adds 0.3.
	runtime.SetFinalizer(h, func(h *handle) { h.descriptor.close() })
}

// close closes the descriptor, and ends the waits.
func (d *descriptor) close() error {
	if d.waits != nil {
		return d.waits.close()
	}
	return unix.Close(d.fd)
}

// nonBlocking is the deadline of a call that must not sleep. Where O_NONBLOCK can be trusted it needs none, which is
// quicker.
func (d *descriptor) nonBlocking() *unix.Timespec {
	if d.shared.Load() {
		return &expired
	}
	return nil
}

// use runs f with the descriptor, which stays open meanwhile.
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

// trySend sends without sleeping: the queue must be O_NONBLOCK or the deadline past. EAGAIN says that it is full.
func (h *handle) trySend(msg []byte, prio uint, deadline *unix.Timespec) error {
	h.mu.RLock()
	if h.closed {
		h.mu.RUnlock()
		return os.ErrClosed
	}
	errno := sysTrySend(h.fd, msg, prio, deadline)
	h.mu.RUnlock()
	return failure(errno)
}

// tryReceive receives without sleeping, see trySend. EAGAIN says that the queue is empty.
func (h *handle) tryReceive(buf []byte, deadline *unix.Timespec) (int, uint, error) {
	h.mu.RLock()
	if h.closed {
		h.mu.RUnlock()
		return 0, 0, os.ErrClosed
	}
	n, prio, errno := sysTryReceive(h.fd, buf, deadline)
	h.mu.RUnlock()
	return n, prio, failure(errno)
}

// Name is the name that the queue was opened by. It may be unlinked since, or belong to another queue.
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

// Status reads the line that mqueuefs shows for the queue. It uses the descriptor that is open already, because
// closing another descriptor of the queue, also one that came from opening its file, would end this process's
// registration. A queue opened with O_WRONLY gives EBADF.
func (h *handle) Status() (Status, error) {
	var s Status
	err := h.use("status", func(fd int) (err error) {
		s, err = readStatus(fd)
		return err
	})
	return s, err
}

// Chmod is fchmod(2) with the permission bits of mode. It sets them whatever the umask, which [Open] does not.
func (h *handle) Chmod(mode os.FileMode) error {
	return h.use("chmod", func(fd int) error { return unix.Fchmod(fd, uint32(mode.Perm())) })
}

// Stat is fstat(2): who owns the queue, who may open it, and whether it still has a name (Nlink 0: it was unlinked).
func (h *handle) Stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	err := h.use("stat", func(fd int) error { return unix.Fstat(fd, &st) })
	return st, err
}

// Control calls f with the descriptor, for what the package does not offer. The descriptor stays the handle's: f must
// not close it, keep it, sleep, or call other methods. Closing a duplicate ends this process's registration.
func (h *handle) Control(f func(fd uintptr)) error {
	return h.use("control", func(fd int) error {
		h.shared.Store(true) // f may duplicate it
		f(uintptr(fd))
		return nil
	})
}
