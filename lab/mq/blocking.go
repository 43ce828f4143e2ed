//go:build linux

package mq

import (
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Blocking is an open message queue that waits in the kernel, POSIX to the letter: a receiver that waits holds back a
// notification, takes its turn among the processes that wait, is ended by a signal with EINTR (unless the handler was
// installed with SA_RESTART, as all of Go's own are), and by an absolute deadline. Each waiting call costs a thread,
// and neither a context nor Close ends it. All methods may be called by many goroutines at once.
//
// A Blocking that is dropped without Close is closed as a dropped [Queue] is.
type Blocking struct {
	handle
	users atomic.Int64 // callers inside, and one for being open; who comes last closes the descriptor
}

func newBlocking(name string, fd int) *Blocking {
	b := new(Blocking)
	b.init(name, fd)
	b.users.Store(1)
	runtime.SetFinalizer(b, (*Blocking).Close)
	return b
}

// Send is mq_send(3): it waits while the queue is full, or gives EAGAIN when O_NONBLOCK is set.
func (b *Blocking) Send(msg []byte, prio uint) error { return b.TimedSend(msg, prio, nil) }

// TimedSend is mq_timedsend(3) to the letter; Go programs use [Blocking.SendUntil]. The deadline is absolute, by
// CLOCK_REALTIME, and goes to the kernel as it is: EINVAL when it is no valid time, even if there is room; ETIMEDOUT when
// it passes while the queue is full; nil waits for ever.
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

// SendUntil is TimedSend for Go's time: the zero time waits for ever, and any that is past gives ETIMEDOUT if the queue is
// full.
func (b *Blocking) SendUntil(msg []byte, prio uint, deadline time.Time) error {
	if deadline.IsZero() {
		return b.TimedSend(msg, prio, nil)
	}
	ts := timespec(deadline)
	return b.TimedSend(msg, prio, &ts)
}

// Receive is mq_receive(3): it waits while the queue is empty, or gives EAGAIN when O_NONBLOCK is set.
func (b *Blocking) Receive(buf []byte) (n int, prio uint, err error) { return b.TimedReceive(buf, nil) }

// TimedReceive is mq_timedreceive(3). For the deadline see [Blocking.TimedSend].
//
// Further errors are *[Error] with EAGAIN, EINTR, EMSGSIZE (buf is shorter than MsgSize), EBADF and [os.ErrClosed].
func (b *Blocking) TimedReceive(buf []byte, deadline *unix.Timespec) (n int, prio uint, err error) {
	if !b.enter() {
		return 0, 0, newError("receive", b.name, os.ErrClosed)
	}
	n, prio, errno := sysReceive(b.fd, buf, deadline)
	b.leave()
	return n, prio, b.explainReceive(len(buf), failure(errno))
}

// ReceiveUntil is TimedReceive for Go's time; see [Blocking.SendUntil].
func (b *Blocking) ReceiveUntil(buf []byte, deadline time.Time) (n int, prio uint, err error) {
	if deadline.IsZero() {
		return b.TimedReceive(buf, nil)
	}
	ts := timespec(deadline)
	return b.TimedReceive(buf, &ts)
}

// timespec gives a time before all that the kernel has a number for as one long past.
func timespec(t time.Time) unix.Timespec {
	if t.Unix() < 0 {
		return expired
	}
	ts, _ := unix.TimeToTimespec(t) // fails only where a timespec has 32 bits
	return ts
}

// SetAttr is mq_setattr(3): it sets or clears O_NONBLOCK as attr.NonBlock says, ignores the rest, and returns what
// [Blocking.Attr] would have said before.
func (b *Blocking) SetAttr(attr Attr) (old Attr, err error) {
	var set, was mqAttr
	if attr.NonBlock {
		set.flags = unix.O_NONBLOCK
	}
	err = b.use("setattr", func(fd int) error { return failure(sysGetSetAttr(fd, &set, &was)) })
	return was.attr(), err
}

// Close is mq_close(3). It returns at once and ends this process's registration for the queue. Callers that sleep in
// the kernel sleep on, as they do in C; the number of the descriptor is not used again before they are back, so none
// of them can hit a stranger's file.
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

// replace closes the queue but keeps its number taken, by putting something else there. Without a descriptor to spare
// the queue is closed by its last caller.
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
