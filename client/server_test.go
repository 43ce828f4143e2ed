package main_test

import (
	"testing"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// server is the program's peer: whatever a test makes of it, good or bad. Its queue holds one request.
type server struct {
	t *testing.T
	*harness.FakeServer
}

func newServer(t *testing.T) *server {
	t.Helper()
	f, err := harness.NewFakeServer()
	must(t, err)
	t.Cleanup(f.Close)
	return &server{t, f}
}

// request takes the next request and opens its reply queue.
func (s *server) request() *exchange {
	s.t.Helper()
	ctx, cancel := harness.WithTimeout(s.t.Context(), enough)
	defer cancel()
	c, err := s.Accept(ctx, "PATH")
	must(s.t, err)
	s.t.Cleanup(c.Close)
	return &exchange{s.t, c}
}

// serveForEver answers requests for PATH with the file until the test ends.
func (s *server) serveForEver(file []byte) {
	for {
		c, err := s.Accept(s.t.Context(), "PATH")
		if s.t.Context().Err() != nil {
			return
		}
		if err != nil {
			s.t.Error(err)
			return
		}
		go (&exchange{s.t, c}).serve(file)
	}
}

// empty checks that nobody has asked for anything.
func (s *server) empty() {
	s.t.Helper()
	if _, a, err := harness.QueueStatus(s.Queue); err != nil || a.CurMsgs != 0 {
		s.t.Errorf("%d requests were sent (%v)", a.CurMsgs, err)
	}
}

// exchange is one request and its responses. Ending it closes the reply queue, because all queues of a user share one
// budget.
type exchange struct {
	t *testing.T
	*harness.Conversation
}

func (e *exchange) send(kind uint, body []byte) {
	e.t.Helper()
	must(e.t, e.Send(e.t.Context(), kind, body))
}

func (e *exchange) info(size int) {
	e.t.Helper()
	e.send(wire.Info, wire.AppendInfo(nil, uint64(size)))
}

// data sends the bytes and returns the number of messages.
func (e *exchange) data(file []byte) (messages int) {
	e.t.Helper()
	for ; len(file) > 0; messages++ {
		n := min(e.MsgSize, len(file))
		e.send(wire.Data, file[:n])
		file = file[n:]
	}
	return messages
}

func (e *exchange) end() {
	e.t.Helper()
	e.send(wire.End, nil)
	e.Close()
}

func (e *exchange) failure(text string) {
	e.t.Helper()
	e.send(wire.Failure, []byte(text))
	e.Close()
}

// serve sends a whole file.
func (e *exchange) serve(file []byte) (messages int) {
	e.t.Helper()
	e.info(len(file))
	messages = e.data(file)
	e.end()
	return messages
}

// expectShape checks the reply queue's depth and message size.
func (e *exchange) expectShape(want mq.Attr) {
	e.t.Helper()
	_, got, err := harness.QueueStatus(e.Request.Reply)
	must(e.t, err)
	if got.MaxMsg != want.MaxMsg || got.MsgSize != want.MsgSize {
		e.t.Errorf("reply queue of %d x %d bytes, expected %d x %d", got.MaxMsg, got.MsgSize, want.MaxMsg, want.MsgSize)
	}
}
