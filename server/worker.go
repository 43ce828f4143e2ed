package main

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

//lab:begin notify rearm threads concurrent malformed

const (
	// lingerTime keeps a server under load from having to be notified of every request. It costs an idle one nothing.
	lingerTime = 20 * time.Millisecond
	// reliefTime is how long a worker may be held up, by a slow disk for instance, before another takes its place.
	reliefTime = 10 * time.Millisecond
)

// notified runs in a goroutine of its own, the thread of SIGEV_THREAD, when a request has come into the empty queue.
// The registration is used up by then. It is renewed before the queue is emptied: the other way round, a request that
// came between the two would find a queue that is not empty, notify nobody and lie there for ever.
func (s *server) notified(event mq.Event) {
	if event != mq.Arrived || s.stopping.Load() {
		return
	}
	if err := s.queue.Load().Notify(s.notified); err != nil && !errors.Is(err, os.ErrClosed) {
		s.log.printf("cannot register for notification: %v", err)
	}
	s.work()
}

// worker is a goroutine that takes requests, one after the other, and answers the small ones itself. What a worker does
// not do is wait, for a client or for a disk, since others wait for it: with an answer that may take long it goes on as a
// worker no more. There are as many as processors; half as many would serve a third fewer requests under load.
type worker struct {
	server   *server
	state    atomic.Int32
	relief   *time.Timer
	requests int  // how many it has asked for
	behind   bool // its last look into the queue found requests that waited
}

// States of a worker. One that serves the same request at two looks is relieved.
const (
	waiting int32 = iota // for a request
	busy
	late     // busy since the last look
	left     // counted out by itself
	relieved // counted out by another, who has taken its place
)

// work takes and serves requests until the queue stays empty.
//
// A worker that finds enough others at work leaves the request to them. That loses none: each of them, when it leaves,
// looks into the queue once more after it has been counted out, and sees either the request or none that it was
// counted on for.
func (s *server) work() {
	w := worker{server: s}
	w.relief = time.AfterFunc(reliefTime, w.look)
	defer w.relief.Stop()
	for linger := lingerTime; s.enter(); linger = 0 {
		for w.serveUntil(deadlineIn(linger)) {
			linger = lingerTime
		}
		if !w.leave() || !s.waits() {
			return
		}
		w.state.Store(waiting)
		w.relief.Reset(reliefTime)
	}
}

// enter counts a worker in, if there is a place for one.
func (s *server) enter() bool {
	for {
		n := s.workers.Load()
		if n >= s.maxWorkers {
			return false
		}
		if s.workers.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave counts the worker out, unless another has.
func (w *worker) leave() bool {
	if !w.state.CompareAndSwap(waiting, left) {
		return false
	}
	w.server.workers.Add(-1)
	return true
}

// waits tells whether a request is to be served.
func (s *server) waits() bool {
	if len(s.taken) > 0 {
		return true
	}
	attr, err := s.queue.Load().Attr()
	return err == nil && attr.CurMsgs > 0 && !s.stopping.Load()
}

// requestsPerTurn is after how many requests a worker gives other goroutines their turn, for the reason of bytesPerTurn.
const requestsPerTurn = 16

// serveUntil serves requests as long as one comes by the deadline, and tells whether there was one.
func (w *worker) serveUntil(deadline *unix.Timespec) (some bool) {
	for i := 1; ; i++ {
		if i%requestsPerTurn == 0 {
			runtime.Gosched()
		}
		r, ok := w.next(deadline)
		if !ok {
			return some
		}
		some = true
		w.state.Store(busy)
		w.server.serve(r, nil, w.makeRoom)
		if !w.state.CompareAndSwap(busy, waiting) && !w.state.CompareAndSwap(late, waiting) {
			return false // relieved
		}
	}
}

// requestsPerLook is after how many requests a worker looks whether more are in the queue than it can serve. A look
// costs a system call.
const requestsPerLook = 8

// next returns a request, and with it a slot. The worker waits for one asleep in mq_timedreceive(2): to a receiver that
// sleeps there the kernel hands a message at once and sends no notification, whose way over the netlink socket and the
// poller costs more than a small file.
func (w *worker) next(deadline *unix.Timespec) (r wire.Request, ok bool) {
	s := w.server
	w.requests++
	if w.behind || w.requests%requestsPerLook == 0 {
		w.behind = s.takeWaiting()
	}
	select {
	case r := <-s.taken:
		return r, true
	default:
	}
	s.slots <- struct{}{}
	if r, ok = s.take(deadline); !ok {
		<-s.slots
	}
	return r, ok
}

// takeWaiting takes the requests that are in the queue, and tells whether there was one: a client that finds the queue
// full has to be woken twice for an answer. With all slots taken it takes nothing; the queue fills, and the kernel makes
// further clients wait in mq_send(3).
func (s *server) takeWaiting() (some bool) {
	for {
		select {
		case s.slots <- struct{}{}:
		default:
			return some
		}
		r, ok := s.take(nil)
		if !ok {
			<-s.slots
			return some
		}
		s.taken <- r
		some = true
	}
}

// makeRoom counts the worker out before a transfer that may have to wait, which its goroutine goes on with. Nobody takes
// its place before there is a request: the thread of another would only get into the way of the client's and its own.
func (w *worker) makeRoom() {
	if w.state.Swap(left) == relieved {
		return
	}
	w.server.workers.Add(-1)
	if w.server.waits() {
		go w.server.work()
	}
}

// look is called every reliefTime. It puts another worker in the place of one that is held up.
func (w *worker) look() {
	if w.state.CompareAndSwap(late, relieved) {
		w.server.workers.Add(-1)
		w.server.work()
		return
	}
	w.state.CompareAndSwap(busy, late)
	if w.state.Load() != left {
		w.relief.Reset(reliefTime)
	}
}

// take receives the next well-formed request; ok is false when none came until the deadline or no more are taken.
// Without a deadline it does not wait.
func (s *server) take(deadline *unix.Timespec) (r wire.Request, ok bool) {
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	for !s.stopping.Load() {
		n, err := s.receive((*buf)[:wire.RequestSize], deadline)
		if err != nil {
			s.logReceiveError(err)
			return wire.Request{}, false
		}
		r, err := s.parse((*buf)[:n])
		if err == nil {
			return r, true
		}
		s.counters.dropped.Add(1)
		s.log.printf("dropped a request: %v", err)
	}
	return wire.Request{}, false
}

func (s *server) receive(buf []byte, deadline *unix.Timespec) (n int, err error) {
	if deadline == nil {
		n, _, err = s.queue.Load().TryReceive(buf)
	} else {
		n, _, err = s.queue.Load().TimedReceive(buf, deadline)
	}
	return n, err
}

func (s *server) logReceiveError(err error) {
	for _, usual := range []error{unix.EAGAIN, unix.ETIMEDOUT, os.ErrClosed} {
		if errors.Is(err, usual) {
			return
		}
	}
	s.log.printf("cannot receive: %v", err)
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

//lab:end
