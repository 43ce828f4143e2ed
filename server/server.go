package main

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

// server takes requests from its queue and answers each on the reply queue that it names.
type server struct {
	config
	log   *logger
	root  *root
	queue *mq.Blocking
	// ownsQueue is whether the server removes the queue at its end: not before readiness, if it was there already.
	ownsQueue bool

	slots     chan struct{} // one is taken for each transfer
	lingering chan struct{} // one is taken by each goroutine that waits for requests in the kernel
	fast      chan struct{} // one is taken by each transfer that waits for room in the kernel
	stopping  atomic.Bool   // takes no more requests
	buffers   sync.Pool     // of *[]byte, bufferSize each

	// ctx ends when the transfers that still run must be given up; its cause says why.
	ctx    context.Context
	giveUp context.CancelCauseFunc
}

func newServer(c config, log *logger) (*server, error) {
	r, err := openRoot(c.Root)
	if err != nil {
		return nil, err
	}
	q, isNew, err := openRequestQueue(c.Queue)
	if err != nil {
		r.close()
		return nil, err
	}
	s := &server{config: c, log: log, root: r, queue: q, ownsQueue: isNew, slots: make(chan struct{}, c.Transfers),
		lingering: make(chan struct{}, runtime.NumCPU()), fast: make(chan struct{}, fastTransfers)}
	s.buffers.New = func() any { return newBuffer(bufferSize) }
	s.ctx, s.giveUp = context.WithCancelCause(context.Background())
	return s, nil
}

// start registers for notification and takes the requests that were in the queue before: nothing tells of those, since
// only a message into an empty queue notifies.
func (s *server) start() error {
	if err := s.queue.Notify(s.notified); err != nil {
		return err
	}
	go s.drain()
	return nil
}

// notified runs in a goroutine of its own, the thread of SIGEV_THREAD, when a request has come into the empty queue.
// The registration is used up by then. It is renewed before the queue is emptied: the other way round, a request that
// came between the two would find a queue that is not empty, notify nobody and lie there for ever.
func (s *server) notified(event mq.Event) {
	if event != mq.Arrived || s.stopping.Load() {
		return
	}
	if err := s.queue.Notify(s.notified); err != nil && !errors.Is(err, os.ErrClosed) {
		s.log.printf("cannot register for notification: %v", err)
	}
	s.drain()
}

// drain takes requests until the queue stays empty. With all slots taken it takes nothing more; the queue fills, and
// the kernel makes further clients wait in mq_send(3).
func (s *server) drain() {
	for more := true; more; {
		s.serveWaiting()
		more = s.linger()
	}
}

// serveWaiting serves the requests that are in the queue, each but the last in a goroutine of its own: a request that
// comes alone is served by the goroutine that was notified of it.
func (s *server) serveWaiting() {
	var last *wire.Request
	for {
		if !s.trySlot() {
			// The request in hand has a slot already, and may be what the others wait for.
			s.serveBeside(last)
			last = nil
			s.slots <- struct{}{}
		}
		r, ok := s.take(&past)
		if !ok {
			<-s.slots
			break
		}
		s.serveBeside(last)
		last = &r
	}
	if last != nil {
		s.serve(*last)
	}
}

// linger waits a moment for another request, asleep in mq_timedreceive(2). To a receiver that sleeps there the kernel
// hands a message at once and sends no notification, whose way over the netlink socket and the poller costs more than
// a small file. The registration stays as it is, for requests that come when nobody lingers.
func (s *server) linger() bool {
	select {
	case s.lingering <- struct{}{}:
		defer func() { <-s.lingering }()
	default:
		return false
	}
	if !s.trySlot() {
		return false
	}
	r, ok := s.take(deadlineIn(lingerTime))
	if !ok {
		<-s.slots
		return false
	}
	s.serve(r)
	return true
}

func (s *server) serveBeside(r *wire.Request) {
	if r != nil {
		go s.serve(*r)
	}
}

func (s *server) trySlot() bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// take receives the next well-formed request; ok is false when none came until the deadline or no more are taken.
func (s *server) take(deadline *unix.Timespec) (r wire.Request, ok bool) {
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	for !s.stopping.Load() {
		n, _, err := s.queue.TimedReceive(*buf, deadline)
		if err != nil {
			s.logReceiveError(err)
			return wire.Request{}, false
		}
		r, err := s.parse((*buf)[:n])
		if err == nil {
			return r, true
		}
		s.log.printf("dropped a request: %v", err)
	}
	return wire.Request{}, false
}

func (s *server) logReceiveError(err error) {
	if !errors.Is(err, unix.ETIMEDOUT) && !errors.Is(err, os.ErrClosed) {
		s.log.printf("cannot receive: %v", err)
	}
}

// errOwnQueue drops a request whose answer would be sent to the server itself. It is told by the name, before
// anything is opened: closing any other descriptor of the request queue would remove the server's registration.
var errOwnQueue = errors.New("it names the request queue as its reply queue")

func (s *server) parse(message []byte) (wire.Request, error) {
	r, err := wire.ParseRequest(message)
	if err == nil && r.Reply == s.Queue {
		err = errOwnQueue
	}
	return r, err
}
