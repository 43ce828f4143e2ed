//go:build linux

package mq

import (
	"context"
	"iter"

	"golang.org/x/sys/unix"
)

// Message is a message that an iterator gives. Its body is valid until the next one.
type Message struct {
	Body     []byte
	Priority uint
}

// Messages gives what [Queue.Receive] would, one message after the other, in a buffer of the queue's message size. It ends
// with the loop, or with an error, which comes last: the context's, or [os.ErrClosed] after a Close.
func (q *Queue) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		buf, err := q.buffer()
		for err == nil {
			n, prio, failed := q.Receive(ctx, buf)
			if err = failed; err == nil && !yield(Message{buf[:n], prio}, nil) {
				return
			}
		}
		yield(Message{}, err)
	}
}

// Notified gives the messages of the queue as [Queue.Messages] does, but waits by mq_notify(3): it registers this process,
// takes messages until there are none, waits for the notification, and registers again before it takes the next. No order
// of arrivals makes it sleep beside a message; see [Queue.Notify] for what does.
//
// A loop that ends takes the registration back. EBUSY says that another has it, from the beginning or since a notification
// used it up: whoever may send to the queue may register for it. Where somebody else ended the registration, by closing
// another descriptor of the queue in this process, Notified makes it again.
func (h *handle) Notified(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		if err := h.notified(ctx, func(m Message) bool { return yield(m, nil) }); err != nil {
			yield(Message{}, err)
		}
	}
}

// notified returns nil when yield has said that it wants no more.
func (h *handle) notified(ctx context.Context, yield func(Message) bool) error {
	buf, err := h.buffer()
	if err != nil {
		return err
	}
	ended := make(chan Event, 1) // there is one registration at a time
	notify := func(ev Event) { ended <- ev }
	registered := false
	defer func() {
		if registered {
			h.Unnotify()
		}
	}()
	for {
		if err := h.Notify(notify); err != nil {
			return err
		}
		registered = true
		if more, err := h.drain(ctx, buf, yield); !more {
			return err
		}
		select {
		case <-ended:
			registered = false
		case <-ctx.Done():
			return newError("receive", h.name, ctx.Err())
		}
	}
}

// drain takes messages until there are none, and reports whether yield wants more.
func (h *handle) drain(ctx context.Context, buf []byte, yield func(Message) bool) (more bool, err error) {
	for ctx.Err() == nil {
		n, prio, err := h.tryReceive(buf)
		if err == unix.EAGAIN {
			return true, nil
		}
		if err != nil {
			return false, h.explainReceive(len(buf), err)
		}
		if !yield(Message{buf[:n], prio}) {
			return false, nil
		}
	}
	return true, nil
}

// buffer has room for every message of the queue.
func (h *handle) buffer() ([]byte, error) {
	a, err := h.Attr()
	return make([]byte, a.MsgSize), err
}
