package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// Shape is a queue's depth in messages and their size in bytes. It counts against RLIMIT_MSGQUEUE, which all processes
// of the user share, so specs use the smallest that suffices.
type Shape struct{ Depth, MsgSize int }

// Small is enough for an exchange whose messages are received at once.
var Small = Shape{Depth: 4, MsgSize: 512}

var queueNumber atomic.Int64

// QueueName returns an unused queue name.
func QueueName(what string) string {
	return fmt.Sprintf("/spec-%s-%d-%d", what, os.Getpid(), queueNumber.Add(1))
}

// Client is a client controlled by a spec; judging a server then needs no client program.
type Client struct {
	PID      int32 // sent in its requests
	Priority uint  // of its requests
	Shape    Shape
	asked    string // request queue of its last request
	reply    *mq.Queue
	buf      []byte
}

// NewClient makes a reply queue. The caller closes the client.
func NewClient(shape Shape) (*Client, error) {
	return NewClientNamed(QueueName("reply"), shape)
}

// NewClientNamed makes a reply queue of that name.
func NewClientNamed(name string, shape Shape) (*Client, error) {
	attr := &mq.Attr{MaxMsg: shape.Depth, MsgSize: shape.MsgSize}
	reply, err := makeQueue(name, attr)
	if err != nil {
		return nil, err
	}
	c := &Client{PID: int32(os.Getpid()), Shape: shape, reply: reply, buf: make([]byte, shape.MsgSize)}
	return c, reply.Chmod(wire.QueueMode)
}

// makeQueue waits for room in the user's budget (RLIMIT_MSGQUEUE), which other processes may hold for a while. It
// polls: the kernel does not announce a release.
func makeQueue(name string, attr *mq.Attr) (*mq.Queue, error) {
	for deadline := Now() + Patience; ; time.Sleep(10 * time.Millisecond) {
		q, err := mq.Open(name, os.O_RDONLY|os.O_CREATE|os.O_EXCL, wire.QueueMode, attr)
		if !errors.Is(err, unix.EMFILE) || Now() > deadline {
			return q, err
		}
	}
}

// GiveTo changes the owner of the reply queue, which only root can do.
func (c *Client) GiveTo(uid int) error {
	return onDescriptor(c.reply, func(fd int) error { return unix.Fchown(fd, uid, -1) })
}

// Fill fills the client's own reply queue.
func (c *Client) Fill() error {
	q, err := mq.Open(c.ReplyName(), os.O_WRONLY, 0, nil)
	if err != nil {
		return err
	}
	defer q.Close()
	for err == nil {
		err = q.TrySend(nil, wire.Data)
	}
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	return err
}

func (c *Client) ReplyName() string {
	return c.reply.Name()
}

// Close removes the reply queue.
func (c *Client) Close() {
	mq.Unlink(c.reply.Name())
	c.reply.Close()
}

// Request asks the server behind the queue for a file.
func (c *Client) Request(ctx context.Context, queue, path string) error {
	message, err := wire.Request{PID: c.PID, Reply: c.ReplyName(), Path: path}.Append(nil)
	if err != nil {
		return err
	}
	c.asked = queue
	return sendAt(ctx, queue, message, c.Priority)
}

// SendRaw sends any message to a request queue, waiting a while for room.
func SendRaw(ctx context.Context, queue string, message []byte) error {
	return sendAt(ctx, queue, message, 0)
}

func sendAt(ctx context.Context, queue string, message []byte, priority uint) error {
	q, err := mq.Open(queue, os.O_WRONLY, 0, nil)
	if err != nil {
		return err
	}
	defer q.Close()
	ctx, cancel := WithTimeout(ctx, Patience)
	defer cancel()
	return q.Send(ctx, message, priority)
}

// Message is one response.
type Message struct {
	Kind uint
	Body []byte
}

var kindNames = map[uint]string{wire.Info: "INFO", wire.Failure: "FAILURE", wire.Data: "DATA", wire.End: "END"}

// Text describes the message.
func (m Message) Text() rubric.Text {
	name, known := kindNames[m.Kind]
	switch {
	case !known:
		return finding.Say("a message of priority %d with %d bytes", m.Kind, len(m.Body))
	case m.Kind == wire.Failure:
		return finding.Same("FAILURE %.300q", m.Body)
	case m.Kind == wire.Info && len(m.Body) == wire.InfoSize:
		size, _ := wire.ParseInfo(m.Body)
		return finding.Same("INFO %d", size)
	}
	return finding.Say("%s of %d bytes", name, len(m.Body))
}

func (m Message) String() string { return m.Text().EN }

// ErrSilent means that a server was silent for too long.
var ErrSilent = errors.New("nothing came from the server")

// Next receives one response.
func (c *Client) Next(ctx context.Context) (Message, error) {
	n, kind, err := c.reply.Receive(ctx, c.buf)
	if errors.Is(err, context.DeadlineExceeded) {
		err = ErrSilent
	}
	return Message{kind, append([]byte(nil), c.buf[:n]...)}, err
}

// Pending receives a response that is already in the queue.
func (c *Client) Pending() (Message, bool) {
	n, kind, err := c.reply.TryReceive(c.buf)
	return Message{kind, append([]byte(nil), c.buf[:n]...)}, err == nil
}

// TakeAll receives all responses that are in the queue.
func (c *Client) TakeAll() (e Exchange) {
	for {
		m, came := c.Pending()
		if !came {
			return e
		}
		e.Messages = append(e.Messages, m)
	}
}

func (c *Client) IsFull() bool {
	attr, err := c.reply.Attr()
	return err == nil && attr.CurMsgs == c.Shape.Depth
}

// Exchange is a request and all its responses.
type Exchange struct {
	Path     string
	Messages []Message
	Content  []byte        // of the DATA messages
	Slowest  time.Duration // longest time without a message
	Came     time.Time     // arrival of the last message
}

// ErrEndless means that a server has sent far more than the file of any spec.
var ErrEndless = errors.New("the server keeps sending")

// Upper bounds, with a margin, on what one exchange receives.
const (
	maxMessages = 100_000
	maxContent  = 32 << 20 // bytes
)

// Fetch runs a whole exchange, until FAILURE or END.
func (c *Client) Fetch(ctx context.Context, queue, path string) (Exchange, error) {
	if err := c.Request(ctx, queue, path); err != nil {
		return Exchange{Path: path}, err
	}
	return c.Finish(ctx, path)
}

// Finish receives until FAILURE or END. It waits for each message until ctx ends, or [Patience].
func (c *Client) Finish(ctx context.Context, path string) (Exchange, error) {
	return c.FinishSlowly(ctx, path, 0, 0)
}

// FinishSlowly receives until FAILURE or END, at first only one message per period.
func (c *Client) FinishSlowly(ctx context.Context, path string, period, while time.Duration) (Exchange, error) {
	e := Exchange{Path: path}
	ctx, cancel := c.whileItLives(ctx)
	defer cancel()
	begin := time.Now()
	for taken := begin; ; taken = time.Now() {
		if time.Since(begin) < while {
			<-time.After(period)
		}
		e.Slowest = max(e.Slowest, time.Since(taken))
		m, err := c.nextWithin(ctx, Patience)
		if err == nil && (len(e.Messages) == maxMessages || len(e.Content) > maxContent) {
			err = ErrEndless
		}
		if err != nil && len(e.Messages) > 0 {
			err = finding.Failed(err, "%v after %v", err, e.Summary())
		}
		if err != nil {
			return e, err
		}
		e.add(m)
		if m.Kind == wire.Failure || m.Kind == wire.End {
			return e, nil
		}
	}
}

func (e *Exchange) add(m Message) {
	e.Messages, e.Came = append(e.Messages, m), time.Now()
	if m.Kind == wire.Data {
		e.Content = append(e.Content, m.Body...)
	}
}

// Begin receives only the first messages.
func (c *Client) Begin(ctx context.Context, messages int) (e Exchange, err error) {
	ctx, cancel := c.whileItLives(ctx)
	defer cancel()
	for range messages {
		m, err := c.nextWithin(ctx, Patience)
		if err != nil {
			return e, err
		}
		e.add(m)
	}
	return e, nil
}

func (c *Client) nextWithin(ctx context.Context, limit time.Duration) (Message, error) {
	ctx, cancel := WithTimeout(ctx, limit)
	defer cancel()
	m, err := c.Next(ctx)
	if errors.Is(err, ErrSilent) {
		if late, came := c.Pending(); came {
			return late, nil
		}
	}
	return m, err
}

// whileItLives is also done once the daemon has ended: it sends no more than is already in the queue.
func (c *Client) whileItLives(ctx context.Context) (lives context.Context, cancel func()) {
	lives, giveUp := context.WithCancelCause(ctx)
	s, known := daemons.Load(c.asked)
	if !known {
		return lives, func() { giveUp(nil) }
	}
	stop := context.AfterFunc(s.(*Server).ended, func() { giveUp(context.DeadlineExceeded) })
	return lives, func() { stop(); giveUp(nil) }
}

// Last returns the message that ended the exchange.
func (e Exchange) Last() Message {
	if len(e.Messages) == 0 {
		return Message{}
	}
	return e.Messages[len(e.Messages)-1]
}

// Failed reports whether the server sent FAILURE, and returns its text.
func (e Exchange) Failed() (string, bool) {
	last := e.Last()
	return string(last.Body), last.Kind == wire.Failure
}

const maxWords = 20

// Summary lists the messages, a run of DATA as one.
func (e Exchange) Summary() rubric.Text {
	if len(e.Messages) == 0 {
		return finding.Say("no message")
	}
	var words rubric.Text
	add := func(word rubric.Text) {
		if words.EN == "" {
			words = word
		} else {
			words = finding.Same("%v, %v", words, word)
		}
	}
	data, parts := 0, 0
	for i, m := range e.Messages {
		if parts == maxWords {
			add(finding.Say("and so on, %d messages in all", len(e.Messages)))
			break
		}
		word := m.Text()
		if m.Kind == wire.Data {
			data++
			if i+1 < len(e.Messages) && e.Messages[i+1].Kind == wire.Data {
				continue
			}
			word = finding.Same("%d x DATA", data)
			data = 0
		}
		add(word)
		parts++
	}
	return words
}

// QueueStatus reads a queue's mqueuefs line through a descriptor of the suite's own: that needs no mount, and leaves
// the registration of other processes alone.
func QueueStatus(name string) (mq.Status, mq.Attr, error) {
	q, err := mq.Open(name, os.O_RDONLY, 0, nil)
	if err != nil {
		return mq.Status{}, mq.Attr{}, err
	}
	defer q.Close()
	status, statusErr := q.Status()
	attr, attrErr := q.Attr()
	return status, attr, errors.Join(statusErr, attrErr)
}

func QueueExists(name string) bool {
	q, err := mq.Open(name, os.O_WRONLY, 0, nil)
	if err == nil {
		q.Close()
	}
	return !errors.Is(err, unix.ENOENT)
}
