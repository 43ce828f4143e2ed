package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

// fetch runs one exchange. Whatever can fail on this side does so before the server is asked to work.
func fetch(o options, left *leftovers, s *state) error {
	name := replyName()
	request, err := wire.Request{PID: int32(os.Getpid()), Reply: name, Path: o.path}.Append(nil)
	if err != nil {
		return usageError(err)
	}
	server, err := openServer(o.queue)
	if err != nil {
		return err
	}
	defer server.Close()
	out, err := openOutput(o.output, left)
	if err != nil {
		return err
	}
	reply, size, err := makeReply(name, o.wait, left)
	if err != nil {
		return err
	}
	defer reply.Close()
	if err := send(server, request, s); err != nil {
		return err
	}
	t := &transfer{reply: reply, size: size, out: bufio.NewWriterSize(out, max(batchSize, size)), left: left, state: s}
	if err := t.run(); err != nil {
		return err
	}
	return out.commit()
}

func openServer(queue string) (*mq.Blocking, error) {
	q, err := mq.OpenBlocking(queue, os.O_WRONLY, 0, nil)
	if errors.Is(err, unix.ENOENT) {
		return nil, noServer("no server at queue %s", queue)
	}
	if err != nil {
		return nil, noServer("the server cannot be reached: %w", err)
	}
	return q, nil
}

// send sends the request. A busy server lets its queue fill and makes room later.
func send(server *mq.Blocking, request []byte, s *state) (err error) {
	s.await(func() { err = server.Send(request, 0) })
	if errors.Is(err, unix.EMSGSIZE) {
		return noServer("queue %s takes no request of %d bytes: it is no queue of mqfiled", server.Name(), len(request))
	}
	if err != nil {
		return noServer("the request cannot be sent: %w", err)
	}
	return nil
}

// batchSize is how many bytes are written at once while the queue has more. Into a pipe that is a tenth faster than
// one write(2) per message.
const batchSize = 128 << 10

// transfer is one exchange after the request.
type transfer struct {
	reply    *mq.Blocking
	size     int // of a message at most, in bytes
	out      *bufio.Writer
	left     *leftovers
	state    *state
	informed bool // INFO has come
}

// run handles responses until one ends the exchange.
func (t *transfer) run() error {
	for {
		kind, body, err := t.receive()
		if err != nil {
			return err
		}
		t.left.removeQueue() // the server has it open by now
		if done, err := t.take(kind, body); done || err != nil {
			return err
		}
	}
}

// receive returns the next response; its body is valid until the next call. The body lies where out would put it, so
// writing it copies nothing. Before it blocks, it flushes out.
func (t *transfer) receive() (kind uint, body []byte, err error) {
	if t.out.Available() < t.size {
		if err := t.out.Flush(); err != nil {
			return 0, nil, err
		}
	}
	body = t.out.AvailableBuffer()[:t.size]
	n, kind, err := t.reply.TryReceive(body)
	if errors.Is(err, unix.EAGAIN) {
		if err := t.out.Flush(); err != nil {
			return 0, nil, err
		}
		body = t.out.AvailableBuffer()[:t.size]
		t.state.await(func() { n, kind, err = t.reply.Receive(body) })
	}
	return kind, body[:n], err
}

// take handles one response and reports whether it was the last. It trusts neither the server, which may be anybody's,
// nor whoever else sends to the reply queue.
func (t *transfer) take(kind uint, body []byte) (done bool, err error) {
	switch {
	case kind == wire.Failure && len(body) == 0:
		return true, errors.New("the server refused without a reason")
	case kind == wire.Failure:
		return true, errors.New(string(body))
	case kind == wire.Info:
		return false, t.info(body)
	case kind != wire.Data && kind != wire.End:
		return true, badResponse("unknown type %d", kind)
	case !t.informed:
		return true, badResponse("no INFO first")
	case kind == wire.Data:
		return false, t.data(body)
	}
	return true, t.end(body)
}

func (t *transfer) info(body []byte) error {
	if t.informed {
		return badResponse("a second INFO")
	}
	size, err := wire.ParseInfo(body)
	if err != nil {
		return badResponse("%w", err)
	}
	t.informed = true
	t.state.size.Store(size)
	return nil
}

func (t *transfer) data(body []byte) error {
	size, received := t.state.size.Load(), t.state.received.Load()
	if len(body) == 0 {
		return badResponse("DATA without a byte")
	}
	if uint64(len(body)) > size-received {
		return badResponse("more than the %d bytes that INFO announced", size)
	}
	t.state.received.Store(received + uint64(len(body)))
	t.state.messages++
	_, err := t.out.Write(body)
	return err
}

func (t *transfer) end(body []byte) error {
	size, received := t.state.size.Load(), t.state.received.Load()
	if len(body) != 0 {
		return badResponse("END with %d bytes", len(body))
	}
	if received != size {
		return badResponse("END after %d of the %d bytes that INFO announced", received, size)
	}
	return t.out.Flush()
}

func badResponse(format string, args ...any) error {
	return fmt.Errorf("bad response: "+format, args...)
}
