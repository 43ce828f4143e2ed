//go:build linux

package mq

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Event is how a registration ended.
type Event int

const (
	Arrived Event = 1 // a message arrived in the empty queue
	Removed Event = 2 // no message: Unnotify, or a Close of any descriptor of the queue
)

func (ev Event) String() string {
	switch ev {
	case Arrived:
		return "arrived"
	case Removed:
		return "removed"
	}
	return "Event(" + strconv.Itoa(int(ev)) + ")"
}

// Notify is mq_notify(3) with SIGEV_THREAD: it registers this process, and f runs in a goroutine of its own, with
// [Arrived] or [Removed]. For every call that returns nil f runs exactly once, and it may run before Notify has
// returned.
//
// A message is announced only if it arrives in an empty queue, and only once. So f first calls Notify again, then
// receives until EAGAIN: the loop takes whatever arrived before the new registration, and whatever arrives after the
// queue was empty is announced. Draining first loses a message that arrives in between. So f may find no message, and
// may run concurrently with another call of it. A goroutine that waits in [Queue.Receive] does not suppress the
// notification; one that waits in [Blocking.Receive] does, and gets the message.
//
// A queue has at most one registration: EBUSY means that another process, or this one, already has it. Closing any
// descriptor of the queue in this process removes it, even one opened by its path under /dev/mqueue.
func (h *handle) Notify(f func(Event)) error {
	if f == nil {
		return h.explain("notify", unix.EINVAL)
	}
	return h.use("notify", func(fd int) error { return notifications.register(h, fd, f) })
}

// NotifySignal is mq_notify(3) with SIGEV_SIGNAL: the next message to the empty queue sends sig to this process, with
// value in its siginfo, where signalfd(2) can read it; os/signal cannot. Call signal.Notify first, because most
// signals end a process that does not catch them. A removal is not announced.
func (h *handle) NotifySignal(sig syscall.Signal, value uintptr) error {
	ev := sigevent{value: value, signo: int32(sig), notify: int32(SigevSignal)}
	return h.use("notify", func(fd int) error { return failure(sysNotify(fd, &ev)) })
}

// NotifyNone is mq_notify(3) with SIGEV_NONE: it occupies the registration until the next message to the empty queue
// uses it up, and announces nothing.
func (h *handle) NotifyNone() error {
	ev := sigevent{notify: int32(SigevNone)}
	return h.use("notify", func(fd int) error { return failure(sysNotify(fd, &ev)) })
}

// Unnotify is mq_notify(3) with NULL: it removes this process's registration of any kind, made through any descriptor.
// Without one it does nothing.
func (h *handle) Unnotify() error {
	return h.use("notify", func(fd int) error { return failure(sysNotify(fd, nil)) })
}
