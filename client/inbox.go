package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
)

// batchSize is how many bytes are written at once while the queue has more. Into a pipe that is a tenth faster than a
// write(2) for each message.
const batchSize = 128 << 10

// inbox receives messages into a buffer that collects the file's bytes, and writes them out when the buffer is full or
// the queue is empty: a slow server's bytes reach the reader at once, a fast one's in few calls.
//
// It waits in the kernel, not in Go's poller: this program does one thing at a time, and a receiver that sleeps in
// mq_timedreceive(2) is handed its message without a detour through epoll and the scheduler.
type inbox struct {
	queue *mq.Blocking
	size  int // of a message at most, in bytes
	out   *output
	batch []byte
	kept  int // bytes of batch that wait to be written
}

func newInbox(queue *mq.Blocking, size int, out *output) *inbox {
	return &inbox{queue: queue, size: size, out: out, batch: make([]byte, max(batchSize, size))}
}

// past is a deadline that makes a call return at once instead of waiting.
var past unix.Timespec

// next returns the next response. Its body is valid until the next call, unless keep is called. While it waits for
// the server, nothing is kept from the reader.
func (in *inbox) next() (kind uint, body []byte, err error) {
	if in.kept > 0 {
		kind, body, err = in.receive(&past)
		if !errors.Is(err, unix.ETIMEDOUT) {
			return kind, body, err
		}
		if err := in.flush(); err != nil {
			return 0, nil, err
		}
	}
	err = patiently(func(deadline *unix.Timespec) error {
		kind, body, err = in.receive(deadline)
		return err
	})
	return kind, body, err
}

// receive takes one message into the buffer, behind the bytes kept.
func (in *inbox) receive(deadline *unix.Timespec) (kind uint, body []byte, err error) {
	if len(in.batch)-in.kept < in.size {
		if err := in.flush(); err != nil {
			return 0, nil, err
		}
	}
	room := in.batch[in.kept : in.kept+in.size]
	n, kind, err := in.queue.TimedReceive(room, deadline)
	return kind, room[:n], err
}

// keep makes the body of the last response, n bytes, part of the file.
func (in *inbox) keep(n int) { in.kept += n }

// flush writes the bytes kept.
func (in *inbox) flush() error {
	if in.kept == 0 {
		return nil
	}
	err := in.out.write(in.batch[:in.kept])
	in.kept = 0
	return err
}
