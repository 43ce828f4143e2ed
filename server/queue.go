package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/procfs"
	"daemonlab/lab/wire"
)

//lab:begin ready backlog failure

// requestQueueDepth is the number of requests that may wait, where the system allows so many.
const requestQueueDepth = 10

// openRequestQueue makes the request queue, or takes over the one that an earlier server of this user left, with the
// requests in it. It tells whether the queue is new.
func openRequestQueue(name string) (q *mq.Blocking, isNew bool, err error) {
	if err := mq.CheckName(name); err != nil {
		return nil, false, err
	}
	q, err = createRequestQueue(name)
	if err == nil {
		return q, true, nil
	}
	if !errors.Is(err, os.ErrExist) {
		return nil, false, err
	}
	q, err = takeOverRequestQueue(name)
	return q, false, err
}

// createRequestQueue tries shallower queues where the user's RLIMIT_MSGQUEUE leaves no room for a deep one. The queue is
// its owner's alone until the server has registered, see register.
func createRequestQueue(name string) (*mq.Blocking, error) {
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

// takeOverRequestQueue refuses the queue of another user, who could read the requests or take them away, and one of
// another shape, which is somebody's, but not a server's.
func takeOverRequestQueue(name string) (*mq.Blocking, error) {
	q, err := mq.OpenBlocking(name, os.O_RDONLY, 0, nil)
	if err != nil {
		return nil, err
	}
	if err := mustBeOurs(q); err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

// register lets others send only when this process is registered: whoever may send may also register, and only one can.
func (s *server) register(q *mq.Blocking) error {
	if err := q.Notify(s.notified); err != nil {
		return err
	}
	return q.Chmod(wire.QueueMode)
}

// isServed tells whether a process of the queue's owner is registered for it, which is a server then. The real user
// counts: a stranger can have another effective one from a set-user-ID program.
func isServed(q *mq.Blocking) bool {
	uid, _, err := q.Owner()
	if err != nil {
		return false
	}
	queue, err := q.Status()
	if err != nil || !queue.Registered() {
		return false
	}
	process, err := procfs.New("/proc").Process(queue.NotifyPID).Status()
	return err == nil && process.Uid[0] == uid
}

// startAnew gives up the queue that an earlier server left when a stranger has registered for it meanwhile. It serves
// the requests that are in it, and makes it again: a new one nobody else can register for first.
func (s *server) startAnew(st starter, busy error) error {
	if err := mq.Unlink(s.Queue); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	rest := s.takeRest(s.queue.Load())
	if err := s.startOnNewQueue(st); err != nil {
		s.refuseAll(rest)
		return err
	}
	s.log.printf("%v: that is no server of user %d, so the queue was made again", busy, os.Geteuid())
	go s.serveAll(rest)
	return nil
}

func (s *server) startOnNewQueue(st starter) error {
	q, err := createRequestQueue(s.Queue)
	if err != nil {
		return err
	}
	s.queue.Store(q)
	s.ownsQueue = true
	if err := st.Made(madeQueue + s.Queue); err != nil {
		return err
	}
	return s.start()
}

func mustBeOurs(q *mq.Blocking) error {
	uid, _, err := q.Owner()
	if err != nil {
		return err
	}
	if uid != os.Geteuid() {
		return fmt.Errorf("queue %s: belongs to user %d, not to %d: %w", q.Name(), uid, os.Geteuid(), os.ErrPermission)
	}
	attr, err := q.Attr()
	if err != nil {
		return err
	}
	if attr.MsgSize != wire.RequestSize {
		return fmt.Errorf("queue %s: has messages of %d bytes, a request queue has %d: remove it or use another name",
			q.Name(), attr.MsgSize, wire.RequestSize)
	}
	return nil
}

// careTime is how soon the server notices what others have done to its queue.
const careTime = time.Second

// careForQueue puts right what others can do to the queue. Its owner and root can unlink it. And everybody who may send
// to it may also register for its notification, in the moment in which this process is not registered: then nobody
// tells of requests.
func (s *server) careForQueue() {
	q := s.queue.Load()
	if lost(q) {
		s.replaceQueue(q)
		return
	}
	status, err := q.Status()
	if err != nil || status.NotifyPID == os.Getpid() {
		return
	}
	if err := s.register(q); err != nil && !errors.Is(err, unix.EBUSY) {
		s.log.printf("cannot register for notification: %v", err)
	}
	go s.work()
}

// lost tells whether the queue has no name any more, or was closed because it had none.
func lost(q *mq.Blocking) bool {
	var st unix.Stat_t
	var statErr error
	err := q.Control(func(fd uintptr) { statErr = unix.Fstat(int(fd), &st) })
	return errors.Is(err, os.ErrClosed) || err == nil && statErr == nil && st.Nlink == 0
}

// replaceQueue makes the queue again under its name. Requests that are in the old one are served; it is closed first,
// since the user's RLIMIT_MSGQUEUE need not have room for both. What fails is tried again at the next look.
func (s *server) replaceQueue(old *mq.Blocking) {
	go s.serveAll(s.takeRest(old))
	q, err := createRequestQueue(s.Queue)
	if err != nil {
		if !s.queueLost {
			s.log.printf("somebody has unlinked the request queue, and it cannot be made again: %v", err)
		}
		s.queueLost = true
		return
	}
	s.queueLost = false
	s.log.printf("somebody has unlinked the request queue: made it again")
	s.queue.Store(q)
	if err := s.register(q); err != nil {
		s.log.printf("cannot register for notification: %v", err)
	}
	go s.work()
}

// takeRest empties the queue and closes it.
func (s *server) takeRest(old *mq.Blocking) (rest []wire.Request) {
	defer old.Close()
	buf := newBuffer(bufferSize)
	for {
		n, _, err := old.TryReceive(*buf)
		if err != nil {
			return rest
		}
		if r, err := s.parse((*buf)[:n]); err == nil {
			rest = append(rest, r)
		}
	}
}

// serveAll serves as slots get free, or refuses when the server has to end meanwhile.
func (s *server) serveAll(requests []wire.Request) {
	for i, r := range requests {
		s.slots <- struct{}{}
		if s.stopping.Load() {
			s.refuseAll(requests[i:])
			<-s.slots
			return
		}
		go s.serve(r, nil, nil)
	}
}
