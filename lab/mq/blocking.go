//go:build linux

package mq

import (
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Blocking is an open message queue whose calls block in the kernel, as in POSIX: a waiting receiver suppresses the
// notification, takes its turn among the waiting processes, and returns on a signal with EINTR (unless the handler has
// SA_RESTART, as all of Go's own have) or at an absolute deadline. Each blocked call occupies a thread, and neither a
// context nor Close ends it. All methods may be called by many goroutines at once.
//
// A Blocking that becomes unreachable without Close is closed as a [Queue] is.
type Blocking struct {
	handle
	users atomic.Int64 // callers inside, plus one for being open; the last one out closes the descriptor
}

func newBlocking(name string, fd int) *Blocking {
	b := new(Blocking)
	b.init(name, fd)
	b.users.Store(1)
	runtime.SetFinalizer(b, (*Blocking).Close)
	return b
}

// Send is mq_send(3): it blocks while the queue is full, or fails with EAGAIN if O_NONBLOCK is set.
func (b *Blocking) Send(msg []byte, prio uint) error { return b.TimedSend(msg, prio, nil) }

// TimedSend is mq_timedsend(3) exactly; Go programs use [Blocking.SendUntil]. The deadline is absolute, on
// CLOCK_REALTIME, and goes to the kernel unchanged: EINVAL if it is not a valid time, even if there is room; ETIMEDOUT
// if it passes while the queue is full; nil means none.
//
// Further errors are *[Error] with EAGAIN, EINTR, EMSGSIZE, EINVAL (priority), EBADF and [os.ErrClosed].
func (b *Blocking) TimedSend(msg []byte, prio uint, deadline *unix.Timespec) error {
	if !b.enter() {
		return newError("send", b.name, os.ErrClosed)
	}
	errno := sysSend(b.fd, msg, prio, deadline)
	b.leave()
	return b.explainSend(len(msg), prio, failure(errno))
}

// SendUntil is TimedSend with Go's time: the zero time means no deadline, and a past one gives ETIMEDOUT if the queue
// is full.
func (b *Blocking) SendUntil(msg []byte, prio uint, deadline time.Time) error {
	if deadline.IsZero() {
		return b.TimedSend(msg, prio, nil)
	}
	ts := timespec(deadline)
	return b.TimedSend(msg, prio, &ts)
}

// Receive is mq_receive(3): it blocks while the queue is empty, or fails with EAGAIN if O_NONBLOCK is set.
func (b *Blocking) Receive(buf []byte) (n int, prio uint, err error) { return b.TimedReceive(buf, nil) }

// TimedReceive is mq_timedreceive(3). For the deadline see [Blocking.TimedSend].
//
// Further errors are *[Error] with EAGAIN, EINTR, EMSGSIZE (buf shorter than MsgSize), EBADF and [os.ErrClosed].
func (b *Blocking) TimedReceive(buf []byte, deadline *unix.Timespec) (n int, prio uint, err error) {
	if !b.enter() {
		return 0, 0, newError("receive", b.name, os.ErrClosed)
	}
	n, prio, errno := sysReceive(b.fd, buf, deadline)
	b.leave()
	return n, prio, b.explainReceive(len(buf), failure(errno))
}

// ReceiveUntil is TimedReceive with Go's time; see [Blocking.SendUntil].
func (b *Blocking) ReceiveUntil(buf []byte, deadline time.Time) (n int, prio uint, err error) {
	if deadline.IsZero() {
		return b.TimedReceive(buf, nil)
	}
	ts := timespec(deadline)
	return b.TimedReceive(buf, &ts)
}

// timespec maps times before the kernel's range to one long past.
func timespec(t time.Time) unix.Timespec {
	if t.Unix() < 0 {
		return expired
	}
	ts, _ := unix.TimeToTimespec(t) // fails only with a 32-bit timespec
	return ts
}

// SetAttr is mq_setattr(3): it sets or clears O_NONBLOCK according to attr.NonBlock, ignores the other fields, and
// returns the previous attributes.
func (b *Blocking) SetAttr(attr Attr) (old Attr, err error) {
	var set, was mqAttr
	if attr.NonBlock {
		set.flags = unix.O_NONBLOCK
	}
	err = b.use("setattr", func(fd int) error { return failure(sysGetSetAttr(fd, &set, &was)) })
	return was.attr(), err
}

// Close is mq_close(3). It returns at once and ends this process's registration for the queue. Calls blocked in the
// kernel stay blocked, as in C; the descriptor's number is not reused before they return, so none of them can reach
// another file.
func (b *Blocking) Close() error {
	if err := b.shut(); err != nil {
		return err
	}
	if b.users.Load() > 1 {
		replace(b.fd)
	}
	if err := b.leave(); err != nil {
		return newError("close", b.name, err)
	}
	return nil
}

// replace closes the queue but keeps its descriptor number occupied by something else. If no descriptor is available
// for that, the last caller closes the queue.
func replace(fd int) {
	if other, err := unix.Eventfd(0, unix.EFD_CLOEXEC); err == nil {
		unix.Dup3(other, fd, unix.O_CLOEXEC)
		unix.Close(other)
	}
}

func (b *Blocking) enter() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return false
	}
	b.users.Add(1)
	return true
}

func (b *Blocking) leave() error {
	if b.users.Add(-1) > 0 {
		return nil
	}
	return unix.Close(b.fd)
}
