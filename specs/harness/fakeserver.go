package harness

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/finding"
)

// FakeServer is a request queue served by the spec itself; judging a client then needs no server program.
type FakeServer struct {
	Queue    string
	requests *mq.Queue
}

// NewFakeServer makes a request queue. The caller closes the server.
func NewFakeServer() (*FakeServer, error) { return NewFakeServerAt(QueueName("server")) }

// NewFakeServerAt makes the request queue of that name.
func NewFakeServerAt(name string) (*FakeServer, error) {
	attr := &mq.Attr{MaxMsg: 1, MsgSize: wire.RequestSize}
	q, err := makeQueue(name, attr)
	if err != nil {
		return nil, err
	}
	return &FakeServer{Queue: name, requests: q}, q.Chmod(wire.QueueMode)
}

// Close removes the request queue.
func (f *FakeServer) Close() {
	mq.Unlink(f.Queue)
	f.requests.Close()
}

// Conversation is one request and the means to answer it.
type Conversation struct {
	Request wire.Request
	Mode    uint32        // of the reply queue
	MsgSize int           // of the reply queue, in bytes
	Silence time.Duration // longest time between the request or a response and the next one
	since   time.Time
	reply   *mq.Queue
}

// Accept waits for a request and checks it, including the path. The caller closes the conversation.
func (f *FakeServer) Accept(ctx context.Context, path string) (*Conversation, error) {
	buf := make([]byte, wire.RequestSize)
	n, _, err := f.requests.Receive(ctx, buf)
	came := time.Now()
	if errors.Is(err, context.DeadlineExceeded) {
		err = finding.Failed(err, "the client sent no request")
	}
	if err != nil {
		return nil, err
	}
	request, err := parseRequest(buf[:n], path)
	if err != nil {
		return nil, err
	}
	mode, modeErr := QueueMode(request.Reply)
	reply, err := mq.Open(request.Reply, os.O_WRONLY, 0, nil)
	if err != nil {
		return nil, err
	}
	attr, err := reply.Attr()
	return &Conversation{Request: request, Mode: mode, MsgSize: attr.MsgSize, since: came, reply: reply}, errors.Join(err, modeErr)
}

// Send sends one response, waiting a while for room.
func (c *Conversation) Send(ctx context.Context, kind uint, body []byte) error {
	ctx, cancel := WithTimeout(ctx, max(Patience, 5*time.Second))
	defer cancel()
	err := c.reply.Send(ctx, body, kind)
	c.Silence, c.since = max(c.Silence, time.Since(c.since)), time.Now()
	return err
}

// IsTaken reports whether the client has received everything sent.
func (c *Conversation) IsTaken() bool {
	attr, err := c.reply.Attr()
	return err == nil && attr.CurMsgs == 0
}

// SendFile sends INFO, the content and END.
func (c *Conversation) SendFile(ctx context.Context, content []byte) error {
	err := c.Send(ctx, wire.Info, wire.AppendInfo(nil, uint64(len(content))))
	for piece := range slices.Chunk(content, c.MsgSize) {
		if err == nil {
			err = c.Send(ctx, wire.Data, piece)
		}
	}
	if err == nil {
		err = c.Send(ctx, wire.End, nil)
	}
	return err
}

// Close closes the reply queue, and removes it if the client left it.
func (c *Conversation) Close() {
	mq.Unlink(c.Request.Reply)
	c.reply.Close()
}
