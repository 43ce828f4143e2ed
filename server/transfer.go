package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

// transfer is the answer to one request.
type transfer struct {
	server  *server
	request wire.Request
	client  int32 // the PID to watch, 0 for none
	reply   *mq.Queue
	msgSize int // bytes, of the reply queue
	sent    int64
	waiting *patience // nil until a send has had to wait
}

// serve answers one request, logs how it went and gives its slot back.
func (s *server) serve(r wire.Request) {
	defer func() { <-s.slots }()
	begin := time.Now()
	t := transfer{server: s, request: r, client: watchable(r.PID)}
	if err := t.openReply(); err != nil {
		s.log.printf("dropped the request for %q: %v", r.Path, err)
		return
	}
	defer t.reply.Close()
	err := t.sendFile()
	if err != nil {
		t.fail(err)
	}
	t.waiting.end()
	t.logResult(err, time.Since(begin))
}

func (t *transfer) logResult(err error, took time.Duration) {
	took = took.Round(time.Microsecond)
	if err != nil {
		t.server.log.printf("failed %q to %s, PID %d: %d bytes in %v: %v",
			t.request.Path, t.request.Reply, t.request.PID, t.sent, took, err)
		return
	}
	t.server.log.printf("sent %q to %s, PID %d: %d bytes in %v",
		t.request.Path, t.request.Reply, t.request.PID, t.sent, took)
}

// openReply opens the client's queue, which must take messages long enough for a reason why something failed.
func (t *transfer) openReply() error {
	reply, err := mq.Open(t.request.Reply, unix.O_WRONLY, 0, nil)
	if err != nil {
		return err
	}
	attr, err := reply.Attr()
	if err == nil && attr.MsgSize < wire.MinMsgSize {
		err = fmt.Errorf("reply queue %s: has messages of %d bytes, at least %d are needed",
			t.request.Reply, attr.MsgSize, wire.MinMsgSize)
	}
	if err != nil {
		reply.Close()
		return err
	}
	t.reply, t.msgSize = reply, attr.MsgSize
	return nil
}

// errShrunk fails a transfer whose file has become shorter than INFO said.
var errShrunk = errors.New("the file became shorter while it was sent")

// sendFile sends INFO, DATA and END. A file that grows is sent as long as it was when it was opened.
func (t *transfer) sendFile() error {
	f, err := t.server.root.open(t.request.Path)
	if err != nil {
		return err
	}
	defer f.close()
	if err := t.send(wire.AppendInfo(nil, uint64(f.size)), wire.Info); err != nil {
		return err
	}
	buf := t.server.buffer(t.msgSize)
	defer t.server.release(buf)
	for t.sent < f.size {
		n, err := f.readAt((*buf)[:min(int64(len(*buf)), f.size-t.sent)], t.sent)
		if err != nil {
			return err
		}
		if err := t.sendData((*buf)[:n]); err != nil {
			return err
		}
	}
	return t.send(nil, wire.End)
}

// sendData sends what was read in pieces of the reply queue's message size.
func (t *transfer) sendData(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), t.msgSize)
		if err := t.send(b[:n], wire.Data); err != nil {
			return err
		}
		t.sent += int64(n)
		b = b[n:]
	}
	return nil
}

// fail tells the client why its exchange ends. One that has gone needs no word, and for one that takes nothing, or a
// server that is about to end, there is only the room that its queue has at this moment.
func (t *transfer) fail(reason error) {
	switch {
	case errors.Is(reason, errClientGone):
		return
	case errors.Is(reason, errStalled), errors.Is(reason, errStopping):
		t.reply.TrySend(t.failureText(reason), wire.Failure)
	default:
		t.send(t.failureText(reason), wire.Failure)
	}
}

func (t *transfer) failureText(reason error) []byte {
	return wire.FailureText(fmt.Sprintf("%s: %v", t.request.Path, reason), t.msgSize)
}

// send puts one message into the reply queue. It waits only if it must, since most files fit into the queue whole.
func (t *transfer) send(body []byte, kind uint) error {
	err := t.reply.TrySend(body, kind)
	if err == nil || !errors.Is(err, unix.EAGAIN) {
		return err
	}
	if t.waiting == nil {
		t.waiting = newPatience(t.server.ctx, t.server.Stall, t.client)
	}
	return t.waiting.wait(func(ctx context.Context) error { return t.reply.Send(ctx, body, kind) })
}
