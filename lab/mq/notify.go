//go:build linux

package mq

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Event is what became of a registration.
type Event int

const (
	Arrived Event = 1 // a message came to the empty queue; the registration is used up
	Removed Event = 2 // the registration ended without one: Unnotify, or a Close of any descriptor of the queue
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

// Notify is mq_notify(3) with SIGEV_THREAD: it registers this process, and f runs once, in a goroutine of its own,
// with [Arrived] or [Removed]. That holds for every call that returns nil: f runs exactly once, and may run before
// Notify has returned.
//
// A message is announced only if it comes to an empty queue, and only once. So f first calls Notify again, then takes
// messages until EAGAIN: whatever came before the new registration is taken by that loop, whatever comes after the
// queue was empty is announced. Draining first loses the message that comes in between. It follows that f must not
// expect to find a message, nor to run alone. A goroutine that waits in [Queue.Receive] does not hold back the
// notification; one that waits in [Blocking.Receive] does, and gets the message.
//
// One registration a queue is possible: EBUSY says that somebody else has it, or this process already. Closing any
// descriptor of the queue in this process removes it, also one opened by its path under /dev/mqueue.
func (h *handle) Notify(f func(Event)) error {
	if f == nil {
		return h.explain("notify", unix.EINVAL)
	}
	return h.use("notify", func(fd int) error { return notifications.register(h, fd, f) })
}

// NotifySignal is mq_notify(3) with SIGEV_SIGNAL: the next message to the empty queue sends sig to this process, with
// value in its siginfo, where signalfd(2) can read it; os/signal cannot. Ask for the signal with signal.Notify
// before, because most end a process that does not expect them. No function tells of a removal.
func (h *handle) NotifySignal(sig syscall.Signal, value uintptr) error {
	ev := sigevent{value: value, signo: int32(sig), notify: int32(SigevSignal)}
	return h.use("notify", func(fd int) error { return failure(sysNotify(fd, &ev)) })
}

// NotifyNone is mq_notify(3) with SIGEV_NONE: it takes the place of a registration, until the next message to the
// empty queue uses it up, and tells nobody.
func (h *handle) NotifyNone() error {
	ev := sigevent{notify: int32(SigevNone)}
	return h.use("notify", func(fd int) error { return failure(sysNotify(fd, &ev)) })
}

// Unnotify is mq_notify(3) with NULL: it removes this process's registration, whatever kind it is and whichever
// descriptor it was made through. Without one nothing happens.
func (h *handle) Unnotify() error {
	return h.use("notify", func(fd int) error { return failure(sysNotify(fd, nil)) })
}
