package main

import (
	"context"
	"runtime"
	"sync/atomic"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

// server takes requests from its queue and answers each on the reply queue that it names.
type server struct {
	config
	log      *logger
	counters counters
	root     *root
	queue    atomic.Pointer[mq.Blocking]
	// ownsQueue is whether the server removes the queue at its end: not before readiness, if it was there already.
	ownsQueue bool
	queueLost bool // somebody has unlinked it, and it could not be made again yet

	slots      chan struct{}     // one is taken for each transfer, and for each request in taken
	taken      chan wire.Request // out of the queue, but not yet served
	shares     *shares
	fast       chan struct{} // one is taken by each transfer that waits for room in the kernel
	workers    atomic.Int32
	maxWorkers int32
	stopping   atomic.Bool // takes no more requests
	buffers    *buffers

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
	s := &server{config: c, log: log, root: r, ownsQueue: isNew, shares: newShares(c.Share), buffers: newBuffers(),
		maxWorkers: int32(runtime.NumCPU())}
	s.slots = make(chan struct{}, c.Transfers)
	s.taken = make(chan wire.Request, c.Transfers)
	s.fast = make(chan struct{}, fastTransfers)
	s.counters.start()
	s.queue.Store(q)
	s.ctx, s.giveUp = context.WithCancelCause(context.Background())
	return s, nil
}

// start registers for notification and takes the requests that were in the queue before: nothing tells of those, since
// only a message into an empty queue notifies.
func (s *server) start() error {
	if err := s.register(s.queue.Load()); err != nil {
		return err
	}
	go s.work()
	return nil
}
