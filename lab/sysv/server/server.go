package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// grace is how long children may go on after SIGTERM.
const grace = 5 * time.Second

// server takes requests from its queue and has a child answer each.
type server struct {
	options
	queue sysv.Queue
	dir   *os.File // the served directory, for the children

	slots chan struct{}   // one is taken for each child
	ctx   context.Context // ends when no more requests are taken

	mu       sync.Mutex
	children map[int]wire.Request // by PID, until they are reaped
}

// serve works until a signal ends it, or somebody removes the queue.
func serve(o options) error {
	// A log that nobody reads must not end the server, whose queue would stay.
	signal.Ignore(unix.SIGPIPE)
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, heeded()...)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)

	dir, err := openRoot(o.root)
	if err != nil {
		return err
	}
	q, err := openRequestQueue(o.key)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	s := &server{options: o, queue: q, dir: dir, slots: make(chan struct{}, o.children), ctx: ctx,
		children: map[int]wire.Request{}}
	go s.reap(ended)
	stopped := make(chan struct{})
	go func() {
		logf("%v: stopping", <-ending)
		end()
		s.stop()
		close(stopped)
	}()
	fmt.Printf("svfiled: PID %d serves %s on queue %v\n", os.Getpid(), o.root, q)
	err = s.takeRequests()
	s.endChildren()
	if err != nil {
		q.Remove() // if it still is there
		return err
	}
	<-stopped
	return nil
}

// heeded are the signals that end the server. One that the starter ignores, as nohup(1) does, stays ignored.
func heeded() []os.Signal {
	all := []os.Signal{unix.SIGTERM}
	for _, sig := range []os.Signal{unix.SIGINT, unix.SIGHUP, unix.SIGQUIT} {
		if !signal.Ignored(sig) {
			all = append(all, sig)
		}
	}
	return all
}

// The main goroutine, which receives, stays on the main thread. For a receiver that has slept the kernel notes the
// number of its thread (pipelined_send in ipc/msg.c), and only the main thread's is the process's, see claim.
func init() { runtime.LockOSThread() }

// takeRequests waits in msgrcv(2), which ends when the queue is removed. With all slots taken it takes nothing; the
// queue fills, and the kernel makes further clients wait in msgsnd(2).
func (s *server) takeRequests() error {
	buf := make([]byte, wire.RequestSize+1)
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.ctx.Done():
			return nil
		}
		// Any type, and cut if it is too long: a message that is never taken would be in the way for ever.
		n, _, err := s.queue.Receive(buf, 0, sysv.NoError)
		if err == nil {
			s.handle(buf[:n])
			continue
		}
		<-s.slots
		if s.stopping() && errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
}

func (s *server) stopping() bool { return s.ctx.Err() != nil }

// handle starts a child for one request, or gives its slot back.
func (s *server) handle(message []byte) {
	if err := s.start(message); err != nil {
		logf("dropped a request: %v", err)
		<-s.slots
	}
}

// start fails when no child was started. If the request was a client's, that has been told why.
func (s *server) start(message []byte) error {
	r, err := wire.ParseRequest(message)
	if err != nil {
		return err
	}
	if err := s.mustBeAClients(r.Queue); err != nil {
		return err
	}
	if s.stopping() {
		return refuse(r, errStopping)
	}
	if err := s.fork(r); err != nil {
		return refuse(r, err)
	}
	return nil
}

// mustBeAClients refuses what cannot be the queue that a client has made for this request. The kernel does not tell who
// has sent a request, so anybody can name a queue that is another's. The server, which may write where the sender may
// not, would fill it. So a reply queue has no key and nobody has used it yet.
func (s *server) mustBeAClients(id int) error {
	q := sysv.ByID(id)
	if id == s.queue.ID() {
		return fmt.Errorf("queue %v: is the request queue itself", q)
	}
	st, err := q.Look()
	switch {
	case err != nil:
		return err
	case st.Key != sysv.Private:
		return fmt.Errorf("queue %v: has the key %v, a client's has none", q, st.Key)
	case s.serves(id), st.Messages > 0, !st.Sent.IsZero(), !st.Received.IsZero():
		return fmt.Errorf("queue %v: is in use already, a client makes one for each request", q)
	case st.MaxBytes < 2*wire.FailureSize:
		return fmt.Errorf("queue %v: takes %d bytes, at least %d are needed", q, st.MaxBytes, 2*wire.FailureSize)
	}
	return nil
}

var errStopping = errors.New("the server is stopping")

// refuse tells the client, without waiting, why its exchange ends. It returns the reason, for the log, where it also
// belongs if the client could not be told although its queue is there.
func refuse(r wire.Request, reason error) error {
	err := sysv.ByID(r.Queue).Send(wire.Failure, wire.FailureText(reason.Error()), sysv.NoWait)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w; the client could not be told: %w", reason, err)
	}
	return reason
}

// stop refuses the requests that wait and removes the queue, which wakes takeRequests.
func (s *server) stop() {
	for _, message := range drain(s.queue) {
		logf("dropped a request: %v", s.start(message))
	}
	if err := s.queue.Remove(); err != nil {
		logf("%v", err)
	}
}
