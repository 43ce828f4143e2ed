package main_test

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// server is the other side of the program under test: what a test makes of it, good or bad.
type server struct {
	t    *testing.T
	name string
	q    *mq.Queue
}

var servers atomic.Int64

// newServer makes a request queue for one request at a time.
func newServer(t *testing.T) *server {
	t.Helper()
	name := fmt.Sprintf("/mqfile-test-%d-%d", os.Getpid(), servers.Add(1))
	var q *mq.Queue
	var err error
	attr := &mq.Attr{MaxMsg: 1, MsgSize: wire.RequestSize}
	eventually(t, "other programs of this user leave room for a queue", func() bool {
		q, err = mq.Open(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, wire.QueueMode, attr)
		return !errors.Is(err, unix.EMFILE)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		mq.Unlink(name)
		q.Close()
	})
	if err := q.Chmod(wire.QueueMode); err != nil {
		t.Fatal(err)
	}
	return &server{t, name, q}
}

// request takes the next request and opens its reply queue.
func (s *server) request() *exchange {
	s.t.Helper()
	request := s.take()
	reply, err := mq.Open(request.Reply, os.O_WRONLY, 0, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { reply.Close() })
	return &exchange{s.t, request, reply}
}

func (s *server) take() wire.Request {
	s.t.Helper()
	buf := make([]byte, wire.RequestSize)
	ctx, cancel := harness.WithTimeout(s.t.Context(), enough)
	defer cancel()
	n, _, err := s.q.Receive(ctx, buf)
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := wire.ParseRequest(buf[:n])
	if err != nil {
		s.t.Fatal(err)
	}
	return request
}

// empty checks that nobody has asked for anything.
func (s *server) empty() {
	s.t.Helper()
	if a, err := s.q.Attr(); err != nil || a.CurMsgs != 0 {
		s.t.Errorf("%d requests were sent (%v)", a.CurMsgs, err)
	}
}

// exchange is one request and what is answered. What ends it also closes the reply queue, because all queues of a user
// share one budget.
type exchange struct {
	t       *testing.T
	request wire.Request
	reply   *mq.Queue
}

func (e *exchange) send(kind uint, body []byte) {
	e.t.Helper()
	if err := e.trySend(kind, body); err != nil {
		e.t.Fatal(err)
	}
}

// trySend is for a client that may be gone.
func (e *exchange) trySend(kind uint, body []byte) error {
	ctx, cancel := harness.WithTimeout(e.t.Context(), enough)
	defer cancel()
	return e.reply.Send(ctx, body, kind)
}

func (e *exchange) info(size int) {
	e.t.Helper()
	e.send(wire.Info, wire.AppendInfo(nil, uint64(size)))
}

// data sends the bytes in as many messages as it takes and returns how many those were.
func (e *exchange) data(file []byte) (messages int) {
	e.t.Helper()
	size := e.shape().MsgSize
	for ; len(file) > 0; messages++ {
		n := min(size, len(file))
		e.send(wire.Data, file[:n])
		file = file[n:]
	}
	return messages
}

func (e *exchange) end() {
	e.t.Helper()
	e.send(wire.End, nil)
	e.reply.Close()
}

func (e *exchange) failure(text string) {
	e.t.Helper()
	e.send(wire.Failure, []byte(text))
	e.reply.Close()
}

// serve sends a whole file.
func (e *exchange) serve(file []byte) (messages int) {
	e.t.Helper()
	e.info(len(file))
	messages = e.data(file)
	e.end()
	return messages
}

func (e *exchange) shape() mq.Attr {
	e.t.Helper()
	a, err := e.reply.Attr()
	if err != nil {
		e.t.Fatal(err)
	}
	return a
}
