package main

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/log"
	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

//lab:begin notify rearm threads concurrent malformed: receive

// server takes requests from its queue and answers each on the reply queue it names.
type server struct {
	config
	log       *log.Logger
	root      root
	queue     atomic.Pointer[mq.Blocking]
	ownsQueue bool          // close unlinks the queue; for one that already existed, false until the server is ready
	slots     chan struct{} // one for each request being answered, or goroutine about to take one
	lingering chan struct{} // one for each goroutine that waits for the next request
	users     *users
	stopping  atomic.Bool // no more requests are taken

	// ctx ends when the transfers still running are to be cut; its cause says why.
	ctx context.Context
	cut context.CancelCauseFunc
}

// lingerTime is how long an idle goroutine waits for the next request. Under load the kernel then hands most requests
// to a receiver asleep in mq_timedreceive(2) and sends no notification, which would cost more than answering a small
// request.
const lingerTime = 20 * time.Millisecond

func newServer(c config, logger *log.Logger) (*server, error) {
	r, err := openRoot(c.Root)
	if err != nil {
		return nil, err
	}
	q, isNew, err := openRequestQueue(c.Queue)
	if err != nil {
		return nil, err
	}
	s := &server{config: c, log: logger, root: r, ownsQueue: isNew, users: newUsers(c.Transfers)}
	s.slots = make(chan struct{}, c.Transfers)
	s.lingering = make(chan struct{}, runtime.NumCPU())
	s.ctx, s.cut = context.WithCancelCause(context.Background())
	s.queue.Store(q)
	return s, nil
}

// serve registers for notification, then serves the requests that an earlier server left in the queue: only a message
// that arrives in an empty queue notifies.
func (s *server) serve() error {
	if err := s.register(s.queue.Load()); err != nil {
		return err
	}
	go s.drain(0)
	return nil
}

// notified runs in a goroutine of its own, as with SIGEV_THREAD, when a request has arrived in the empty queue. That
// used up the registration. It is renewed BEFORE the queue is drained: the other way round, a request that arrives
// between the two notifies nobody, nor does any later one, since the queue is no longer empty.
func (s *server) notified(event mq.Event) {
	if event != mq.Arrived || s.stopping.Load() {
		return
	}
	s.queue.Load().Notify(s.notified) // where that fails, checkQueue registers or says why not
	s.drain(0)
}

// drain answers requests one after another until none arrives in time. Before it may block, it hands the request queue
// over to another goroutine, see handOver.
func (s *server) drain(wait time.Duration) {
	for r, ok := s.next(wait); ok; r, ok = s.linger(max(wait, lingerTime)) {
		s.answer(r)
	}
}

// linger waits for the next request, unless enough goroutines do already.
func (s *server) linger(wait time.Duration) (r wire.Request, ok bool) {
	select {
	case s.lingering <- struct{}{}:
		defer func() { <-s.lingering }()
		return s.next(wait)
	default:
		return s.next(0)
	}
}

// next takes a slot and a request; answer returns the slot. With all slots taken the requests stay in the queue, and
// once that is full the kernel blocks further clients in mq_send(3).
func (s *server) next(wait time.Duration) (r wire.Request, ok bool) {
	s.slots <- struct{}{}
	for !s.stopping.Load() {
		r, err := s.receive(wait)
		switch {
		case err == nil:
			return r, true
		case errors.Is(err, wire.ErrMalformed):
			s.drop(err)
			continue
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ETIMEDOUT) && !errors.Is(err, os.ErrClosed):
			s.log.Printf("%v", err)
		}
		break
	}
	<-s.slots
	return wire.Request{}, false
}

func (s *server) receive(wait time.Duration) (wire.Request, error) {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	var n int
	var err error
	if wait == 0 {
		n, _, err = s.queue.Load().TryReceive(b[:])
	} else {
		n, _, err = s.queue.Load().ReceiveUntil(b[:], time.Now().Add(wait))
	}
	if err != nil {
		return wire.Request{}, err
	}
	return wire.ParseRequest(b[:n])
}

// drop discards a request that cannot be answered, and logs why.
func (s *server) drop(reason error) {
	s.log.Boundedf("dropped a request: %v", reason)
}

//lab:end
