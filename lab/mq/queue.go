//go:build linux

package mq

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Queue is an open message queue that waits in Go's poller: a waiting call costs a parked goroutine, not a thread, and
// ends with its context, a deadline or Close. All methods may be called by many goroutines at once. The package's
// documentation says when to use it, and when [Blocking].
//
// A Queue that is dropped without Close is closed when the garbage collector finds it, as an [os.File] is, unless this
// process is registered through it. As every close of a descriptor, that ends the process's registration for the queue.
type Queue struct{ handle }

func newQueue(name string, fd int, shared bool) *Queue {
	q := new(Queue)
	q.init(name, fd)
	q.shared.Store(shared)
	return q
}

// Send is mq_send(3), and with a context that has a deadline mq_timedsend(3): it waits while the queue is full.
// Priorities are 0 to 32767, the highest is received first; equal ones keep their order.
//
// Errors are *[Error] with EMSGSIZE (longer than MsgSize), EINVAL (priority), EBADF (not open for writing),
// [os.ErrClosed], or the context's. A context that has ended ends the call even if there is room.
func (q *Queue) Send(ctx context.Context, msg []byte, prio uint) error {
	if err := ctx.Err(); err != nil {
		return newError("send", q.name, err)
	}
	err := q.trySend(msg, prio)
	if err == unix.EAGAIN {
		err = q.waitSend(ctx, msg, prio)
	}
	if err != nil {
		return q.explainSend(len(msg), prio, err)
	}
	return nil
}

// TrySend is mq_send(3) with O_NONBLOCK: as [Queue.Send], but a full queue gives EAGAIN at once.
func (q *Queue) TrySend(msg []byte, prio uint) error {
	if err := q.trySend(msg, prio); err != nil {
		return q.explainSend(len(msg), prio, err)
	}
	return nil
}

// Receive is mq_receive(3), and with a context that has a deadline mq_timedreceive(3): it waits while the queue is
// empty, then takes the oldest message of the highest priority into buf, which must have room for MsgSize bytes.
//
// Errors are *[Error] with EMSGSIZE (buf is too short, even if the message is not), EBADF (not open for reading),
// [os.ErrClosed], or the context's. A context that has ended ends the call even if a message is there.
func (q *Queue) Receive(ctx context.Context, buf []byte) (n int, prio uint, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, newError("receive", q.name, err)
	}
	n, prio, err = q.tryReceive(buf)
	if err == unix.EAGAIN {
		n, prio, err = q.waitReceive(ctx, buf)
	}
	if err != nil {
		return 0, 0, q.explainReceive(len(buf), err)
	}
	return n, prio, nil
}

// TryReceive is mq_receive(3) with O_NONBLOCK: as [Queue.Receive], but an empty queue gives EAGAIN at once.
func (q *Queue) TryReceive(buf []byte) (n int, prio uint, err error) {
	n, prio, err = q.tryReceive(buf)
	if err != nil {
		return 0, 0, q.explainReceive(len(buf), err)
	}
	return n, prio, nil
}

// SetDeadline sets both deadlines, that of Send and that of Receive.
func (q *Queue) SetDeadline(t time.Time) error {
	return errors.Join(q.SetSendDeadline(t), q.SetReceiveDeadline(t))
}

// SetSendDeadline has every Send that has to wait, also one that does so already, end at t with [os.ErrDeadlineExceeded];
// the zero time stands for none. As that of mq_timedsend(3), it ends waits only: what can be done at once is done, however
// late it is. It is the Queue's, where a context is the call's, and costs no allocation.
func (q *Queue) SetSendDeadline(t time.Time) error {
	return q.setDeadline(t, func(w *waits) *direction { return &w.send })
}

// SetReceiveDeadline is to Receive as [Queue.SetSendDeadline] is to Send.
func (q *Queue) SetReceiveDeadline(t time.Time) error {
	return q.setDeadline(t, func(w *waits) *direction { return &w.receive })
}

func (q *Queue) setDeadline(t time.Time, of func(*waits) *direction) error {
	w, err := q.poll()
	if err == nil {
		err = of(w).setDeadline(t)
	}
	if err != nil {
		return newError("set deadline", q.name, err)
	}
	return nil
}

// Close is mq_close(3). Callers that wait on this Queue end with [os.ErrClosed]; a registration of this process for
// the queue ends, also one made through another descriptor, and its function is told [Removed]. The function may still
// run after Close has returned. A second Close gives [os.ErrClosed].
func (q *Queue) Close() error {
	if err := q.shut(); err != nil {
		return err
	}
	if err := q.descriptor.close(); err != nil {
		return newError("close", q.name, err)
	}
	return nil
}

func (q *Queue) trySend(msg []byte, prio uint) error {
	return q.handle.trySend(msg, prio, q.nonBlocking())
}

func (q *Queue) tryReceive(buf []byte) (int, uint, error) {
	return q.handle.tryReceive(buf, q.nonBlocking())
}
