package harness

import "daemonlab/lab/wire"

// Reader takes the messages of a transfer that a server is going to cut, and knows whether there was room for FAILURE.
type Reader struct {
	Depth int  // of the queue, in messages
	Taken int  // messages in all
	Most  int  // that can have been in the queue when the last message was sent to it, or later
	Told  bool // FAILURE has come, or END
	run   int  // messages since the queue was seen empty
	c     *Client
}

// NewReader reads from the client's queue.
func NewReader(c *Client) *Reader {
	return &Reader{Depth: c.Shape.Depth, Most: c.Shape.Depth, c: c}
}

// HadRoom tells whether the queue had room when the last message was sent to it, and so from then on.
func (r *Reader) HadRoom() bool {
	return r.Most < r.Depth
}

// Drain empties the readers' queues, one after the other and without a pause, until done is closed and nothing is left.
func Drain(readers []*Reader, done <-chan struct{}) {
	for last := false; ; {
		for _, r := range readers {
			r.drain()
		}
		if last {
			return
		}
		select {
		case <-done:
			last = true // what came before that is taken in one round more
		default:
		}
	}
}

// drain does not stay with a queue that its server fills as fast.
func (r *Reader) drain() {
	for range 2 * r.Depth {
		_, kind, err := r.c.reply.TryReceive(r.c.buf)
		if err != nil {
			r.run = 0
			return
		}
		r.run++
		r.Taken++
		r.Most, r.Told = r.run, r.Told || kind == wire.Failure || kind == wire.End
	}
}
