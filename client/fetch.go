package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

// patience is how long the server may do nothing: neither make room for the request nor send the next response.
const patience = 10 * time.Second

// tally is what a transfer brought.
type tally struct{ bytes, messages uint64 }

// fetch makes one whole exchange. What can fail on this side does so before the server is asked to work.
func fetch(o options, left *leftovers, bar *progress) (tally, error) {
	name := replyName()
	request, err := wire.Request{PID: int32(os.Getpid()), Reply: name, Path: o.path}.Append(nil)
	if err != nil {
		return tally{}, &exitError{status: statusUsage, err: err}
	}
	server, err := openServer(o.queue)
	if err != nil {
		return tally{}, err
	}
	defer server.Close()
	out, err := openOutput(o.output, left)
	if err != nil {
		return tally{}, err
	}
	reply, size, err := makeReply(name, server, o.wait, left)
	if err != nil {
		return tally{}, err
	}
	defer reply.Close()
	if err := send(server, request); err != nil {
		return tally{}, err
	}
	t := &transfer{from: newInbox(reply, size, out), left: left, bar: bar}
	if err := t.run(); err != nil {
		return tally{}, silent(err, o.queue)
	}
	return t.got, out.commit()
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

// send asks for the file. A server at its limit of work lets its queue fill and makes room later.
func send(server *mq.Blocking, request []byte) error {
	err := patiently(func(deadline *unix.Timespec) error { return server.TimedSend(request, 0, deadline) })
	switch {
	case errors.Is(err, unix.ETIMEDOUT):
		return noServer("queue %s of the server has been full for %v", server.Name(), patience)
	case errors.Is(err, unix.EMSGSIZE):
		return noServer("queue %s takes no request of %d bytes: it is no queue of mqfiled", server.Name(), len(request))
	case err != nil:
		return noServer("the request cannot be sent: %w", err)
	}
	return nil
}

// patiently makes a call of mq_timedsend(2) or mq_timedreceive(2) with a deadline that gives the server its time. The
// kernel measures that by a clock that may be set, so ETIMEDOUT is believed only if it was our own time too.
func patiently(call func(deadline *unix.Timespec) error) error {
	began := time.Now()
	for {
		deadline, _ := unix.TimeToTimespec(time.Now().Add(patience - time.Since(began)))
		err := call(&deadline)
		if !errors.Is(err, unix.ETIMEDOUT) || time.Since(began) >= patience {
			return err
		}
	}
}

// silent explains the end of our patience.
func silent(err error, queue string) error {
	if errors.Is(err, unix.ETIMEDOUT) {
		return noServer("nothing from the server at queue %s for %v", queue, patience)
	}
	return err
}

// transfer is the state of one exchange after the request.
type transfer struct {
	from     *inbox
	left     *leftovers
	bar      *progress
	size     uint64 // that INFO announced
	informed bool   // INFO came
	got      tally
}

// run takes responses until one ends the exchange.
func (t *transfer) run() error {
	kind, body, err := t.from.next()
	t.left.removeQueue() // the server has it open now, or never will
	for done := false; err == nil; kind, body, err = t.from.next() {
		if done, err = t.take(kind, body); done || err != nil {
			return err
		}
	}
	return err
}

// take handles one response and says whether it was the last. The server is not trusted: it may be anybody's, and so
// may be who sends to the reply queue.
func (t *transfer) take(kind uint, body []byte) (done bool, err error) {
	switch {
	case kind == wire.Failure:
		return true, refusal(body)
	case kind == wire.Info:
		return false, t.info(body)
	case kind != wire.Data && kind != wire.End:
		return true, badResponse("unknown type %d", kind)
	case !t.informed:
		return true, badResponse("%s before INFO", kindName(kind))
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
	t.size, t.informed = size, true
	t.bar.start(size)
	return nil
}

func (t *transfer) data(body []byte) error {
	n := uint64(len(body))
	if n == 0 {
		return badResponse("DATA without a byte")
	}
	if n > t.size-t.got.bytes {
		return badResponse("more than the %d bytes that INFO announced", t.size)
	}
	t.got.bytes += n
	t.got.messages++
	t.bar.advance(t.got.bytes)
	t.from.keep(len(body))
	return nil
}

func (t *transfer) end(body []byte) error {
	if len(body) != 0 {
		return badResponse("END with %d bytes", len(body))
	}
	if t.got.bytes != t.size {
		return badResponse("END after %d of the %d bytes that INFO announced", t.got.bytes, t.size)
	}
	return t.from.flush()
}

// refusal is the server's own reason, in its own words.
func refusal(body []byte) error {
	if len(body) == 0 {
		return errors.New("the server refused without a reason")
	}
	return errors.New(string(body))
}

func badResponse(format string, args ...any) error {
	return fmt.Errorf("bad response: "+format, args...)
}

func kindName(kind uint) string {
	if kind == wire.Data {
		return "DATA"
	}
	return "END"
}
