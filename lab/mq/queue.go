//go:build linux

package mq

import (
	"context"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Queue is an open message queue that waits in Go's poller: a waiting call costs a parked goroutine, not a thread, and
// ends with its context or Close. All methods may be called by many goroutines at once. The package comment says when
// to use it, and when to use [Blocking].
//
// A Queue that becomes unreachable without Close is closed by the garbage collector, as an [os.File] is, unless this
// process is registered through it. Like any close of a descriptor, that ends the process's registration for the
// queue.
type Queue struct {
	handle

	once  sync.Once
	waits *waits // made by the first caller that has to wait; does not refer to the Queue, which stays collectable
}

func newQueue(name string, fd int) *Queue {
	q := new(Queue)
	q.init(name, fd)
	// runtime.AddCleanup would add 0.7 us to an Open that takes 2.5 us; this adds 0.3 us.
	runtime.SetFinalizer(q, (*Queue).Close)
	return q
}

// Send is mq_send(3), and with a context that has a deadline mq_timedsend(3): it waits while the queue is full.
// Priorities are 0 to 32767; the highest is received first, equal ones in order.
//
// Errors are *[Error] with EMSGSIZE (longer than MsgSize), EINVAL (priority), EBADF (not open for writing),
// [os.ErrClosed], or the context's. If ctx is done the call fails even if there is room.
func (q *Queue) Send(ctx context.Context, msg []byte, prio uint) error {
	if err := ctx.Err(); err != nil {
		return newError("send", q.name, err)
	}
	err := q.trySend(msg, prio)
	if err == unix.EAGAIN {
		err = q.waitSend(ctx, msg, prio)
	}
	return q.explainSend(len(msg), prio, err)
}

// Receive is mq_receive(3), and with a context that has a deadline mq_timedreceive(3): it waits while the queue is
// empty, then takes the oldest message of the highest priority into buf, which must have room for MsgSize bytes.
//
// Errors are *[Error] with EMSGSIZE (buf shorter than MsgSize, even if the message would fit), EBADF (not open for
// reading), [os.ErrClosed], or the context's. If ctx is done the call fails even if there is a message.
func (q *Queue) Receive(ctx context.Context, buf []byte) (n int, prio uint, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, newError("receive", q.name, err)
	}
	n, prio, err = q.tryReceive(buf)
	if err == unix.EAGAIN {
		n, prio, err = q.waitReceive(ctx, buf)
	}
	return n, prio, q.explainReceive(len(buf), err)
}

// Close is mq_close(3). Callers that wait on this Queue get [os.ErrClosed]. It ends this process's registration for
// the queue, even one made through another descriptor, whose function gets [Removed] and may still run after Close has
// returned. A second Close gives [os.ErrClosed].
func (q *Queue) Close() error {
	if err := q.shut(); err != nil {
		return err
	}
	var err error
	if q.waits != nil {
		err = q.waits.file.Close()
	} else {
		err = unix.Close(q.fd)
	}
	if err != nil {
		return newError("close", q.name, err)
	}
	return nil
}
