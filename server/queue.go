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

//lab:begin ready backlog failure: make-queue

// requestQueueDepth is how many requests the queue holds, where the system allows that many.
const requestQueueDepth = 10

// openRequestQueue makes the request queue, or takes over the one that an earlier server of this account left, along
// with its requests. isNew reports which.
func openRequestQueue(name string) (q *mq.Blocking, isNew bool, err error) {
	if err := mq.CheckName(name); err != nil {
		return nil, false, err
	}
	q, err = makeRequestQueue(name)
	if !errors.Is(err, os.ErrExist) {
		return q, err == nil, err
	}
	if q, err = mq.OpenBlocking(name, os.O_RDONLY, 0, nil); err != nil {
		return nil, false, err
	}
	if err := mustBeOurs(q); err != nil {
		q.Close()
		return nil, false, err
	}
	return q, false, nil
}

// makeRequestQueue settles for a shallower queue where RLIMIT_MSGQUEUE has no room for a deep one. Nobody but its
// owner may open the queue until the server is registered, see register.
func makeRequestQueue(name string) (*mq.Blocking, error) {
	limits, err := mq.SystemLimits()
	if err != nil {
		return nil, err
	}
	for depth := min(requestQueueDepth, limits.MsgMax); ; depth /= 2 {
		attr := &mq.Attr{MaxMsg: depth, MsgSize: wire.RequestSize}
		q, err := mq.OpenBlocking(name, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600, attr)
		if !errors.Is(err, unix.EMFILE) || depth <= 1 {
			return q, err
		}
	}
}

// mustBeOurs refuses another user's queue, as its owner could read the requests, and a queue of another shape, which
// is not a request queue.
func mustBeOurs(q *mq.Blocking) error {
	st, err := q.Stat()
	attr, attrErr := q.Attr()
	switch {
	case err != nil || attrErr != nil:
		return errors.Join(err, attrErr)
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("queue %q: belongs to user %d, not to %d: %w", q.Name(), st.Uid, os.Geteuid(), os.ErrPermission)
	case attr.MsgSize != wire.RequestSize:
		return fmt.Errorf("queue %q: has messages of %d bytes, a request queue has %d: remove it or use another name",
			q.Name(), attr.MsgSize, wire.RequestSize)
	}
	return nil
}

// register opens the queue to others only once this process is registered: whoever may send may register, and only one
// can.
func (s *server) register(q *mq.Blocking) error {
	if err := q.Notify(s.notified); err != nil {
		return err
	}
	return q.Chmod(wire.QueueMode)
}

// isStrangers reports whether the registered process is one that the server's account may not signal: anybody who may
// send can register. Any other holder, even one not visible from here, counts as a running server.
func isStrangers(q *mq.Blocking) bool {
	status, err := q.Status()
	return err == nil && status.Registered() && unix.Kill(status.NotifyPID, 0) == unix.EPERM
}

// checkPeriod is how soon the server notices interference with its queue.
const checkPeriod = time.Second

// checkQueue repairs what others did to the queue. Its owner and root can unlink it, and anybody who may send can
// register while this process is not registered: a goroutine blocked in mq_timedreceive(2) then gets the requests.
func (s *server) checkQueue() {
	q := s.queue.Load()
	var wait time.Duration
	st, err := q.Stat()
	if errors.Is(err, os.ErrClosed) || err == nil && st.Nlink == 0 {
		go s.answerAll(s.takeRest())
		if err = s.replaceQueue(); err == nil {
			s.log.Printf("queue %q: unlinked by somebody, made again", s.Queue)
		}
	} else if status, statusErr := q.Status(); statusErr == nil && status.NotifyPID != os.Getpid() {
		if err = s.register(q); errors.Is(err, unix.EBUSY) {
			err, wait = nil, checkPeriod
		}
	}
	if len(s.slots) < cap(s.slots) {
		go s.drain(wait) // even when a disk blocks every goroutine that had requests to receive
	}
	if err != nil {
		s.log.Printf("%v", err)
	}
}

// replaceQueue makes the queue again under its name. It closes the old one first, since RLIMIT_MSGQUEUE may not have
// room for both.
func (s *server) replaceQueue() error {
	s.queue.Load().Close()
	q, err := makeRequestQueue(s.Queue)
	if err != nil {
		return err
	}
	s.queue.Store(q)
	return s.serve()
}

// takeRest returns the requests that are in the queue, not all of those that somebody keeps adding.
func (s *server) takeRest() (rest []wire.Request) {
	for range sensibleTransfers {
		r, err := s.receive(0)
		switch {
		case err == nil:
			rest = append(rest, r)
		case !errors.Is(err, wire.ErrMalformed):
			return rest
		}
	}
	return rest
}

// answerAll answers requests as slots become free.
func (s *server) answerAll(requests []wire.Request) {
	for i, r := range requests {
		s.slots <- struct{}{}
		if s.stopping.Load() {
			<-s.slots
			s.refuse(requests[i:])
			return
		}
		go s.answer(r)
	}
}

//lab:end
