package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

// A transfer waits for room in two ways. One whose client keeps up sleeps in mq_timedsend(2), where it is woken with
// its message already in the queue; that holds a thread, so only so many may, and only for so long at a time. All
// others are parked in Go's poller, where a wait costs no thread and may last.
const (
	fastTransfers = 4
	fastWait      = 10 * time.Millisecond
)

// reply is a client's queue, open for sending.
type reply struct {
	server  *server
	pid     int32        // of the client, as it says
	watched bool         // pid names a process, or is 0 for one that is not to be watched
	kernel  *mq.Blocking // nil once the client has been slow
	poller  *mq.Queue    // nil before
	fast    bool         // has one of the server's places to wait in the kernel
	waiting *patience    // goes with poller
	user    *user        // in whose share it is counted, once it has to be
	msgSize int          // bytes
	room    int          // messages that it had room for when it was opened
}

// openReply opens the client's queue, which must take messages long enough for a reason why something failed.
func (s *server) openReply(r wire.Request) (*reply, error) {
	queue, err := mq.OpenBlocking(r.Reply, unix.O_WRONLY, 0, nil)
	if err != nil {
		return nil, err
	}
	attr, err := queue.Attr()
	if err == nil && attr.MsgSize < wire.MinMsgSize {
		err = fmt.Errorf("reply queue %s: has messages of %d bytes, at least %d are needed", r.Reply, attr.MsgSize,
			wire.MinMsgSize)
	}
	if err != nil {
		queue.Close()
		return nil, err
	}
	return &reply{server: s, pid: r.PID, kernel: queue, msgSize: attr.MsgSize, room: attr.MaxMsg - attr.CurMsgs}, nil
}

// holds tells whether the queue has room for a whole file of so many bytes.
func (r *reply) holds(size int64) bool {
	const infoAndEnd = 2
	return size <= int64(r.room-infoAndEnd)*int64(r.msgSize)
}

// keepsUp tells whether the client has not been slow so far.
func (r *reply) keepsUp() bool { return r.kernel != nil }

// lookForClient decides whether the client is watched. It has to be done before a queue is full: from then on the
// client may die at any moment, and its PID would look like one that never meant anything here.
func (r *reply) lookForClient() {
	if !r.watched {
		r.pid, r.watched = watchable(r.pid), true
	}
}

// send puts one message into the queue, waiting for room. Most messages need not wait, and those cost no more than the
// call: no clock, no word to Go's scheduler.
func (r *reply) send(body []byte, kind uint) error {
	if err := r.trySend(body, kind); !errors.Is(err, unix.EAGAIN) {
		return err
	}
	return r.await(body, kind)
}

// sendPieces sends the beginning of b in DATA of the message size: all that there is room for and, when the queue is
// full, one more, for which it waits. It returns how many bytes it has sent.
func (r *reply) sendPieces(b []byte) (sent int, err error) {
	sent, err = r.trySendPieces(b)
	if !errors.Is(err, unix.EAGAIN) {
		return sent, err
	}
	piece := b[sent:min(sent+r.msgSize, len(b))]
	if err := r.await(piece, wire.Data); err != nil {
		return sent, err
	}
	return sent + len(piece), nil
}

// await sends when there is room.
func (r *reply) await(body []byte, kind uint) error {
	if r.kernel != nil {
		if err := r.sendFast(body, kind); !errors.Is(err, unix.ETIMEDOUT) {
			return err
		}
		if err := r.becomeSlow(); err != nil {
			return err
		}
	}
	return r.waiting.wait(func(ctx context.Context) error { return r.poller.Send(ctx, body, kind) })
}

// sendFast waits for room in the kernel. ETIMEDOUT says that the client does not keep up, or that no place to wait in
// the kernel is free.
func (r *reply) sendFast(body []byte, kind uint) error {
	if !r.takeFastPlace() {
		return unix.ETIMEDOUT
	}
	return r.kernel.TimedSend(body, kind, deadlineIn(fastWait))
}

// becomeSlow goes over to the poller, for the rest of the transfer. One that looked as if it would not have to wait,
// because the client has sent several requests or fills its queue itself, needs a place in its user's share now.
func (r *reply) becomeSlow() error {
	if err := r.count(); err != nil {
		return err
	}
	queue, err := r.kernel.Poll()
	if err != nil {
		return err
	}
	r.giveFastPlace()
	r.kernel, r.poller = nil, queue
	r.lookForClient()
	r.waiting = newPatience(r.server.ctx, r.server.Stall, r.pid)
	return nil
}

func (r *reply) count() error {
	if r.user != nil {
		return nil
	}
	uid, err := r.owner()
	if err != nil {
		return err
	}
	if r.user = r.server.shares.enter(uid); r.user == nil {
		return tooMany(uid)
	}
	return nil
}

// owner is the UID of whoever made the queue.
func (r *reply) owner() (int, error) {
	uid, _, err := r.kernel.Owner()
	return uid, err
}

// trySend sends if there is room at this moment.
func (r *reply) trySend(body []byte, kind uint) error {
	if r.poller != nil {
		return r.poller.TrySend(body, kind)
	}
	return r.kernel.TrySend(body, kind)
}

func (r *reply) trySendPieces(b []byte) (sent int, err error) {
	if r.poller != nil {
		return r.poller.TrySendPieces(b, r.msgSize, wire.Data)
	}
	return r.kernel.TrySendPieces(b, r.msgSize, wire.Data)
}

func (r *reply) close() {
	if r.poller == nil {
		r.giveFastPlace()
		r.kernel.Close()
		return
	}
	r.waiting.end()
	r.poller.Close()
}

func (r *reply) giveFastPlace() {
	if r.fast {
		<-r.server.fast
		r.fast = false
	}
}

func (r *reply) takeFastPlace() bool {
	if !r.fast {
		select {
		case r.server.fast <- struct{}{}:
			r.fast = true
		default:
		}
	}
	return r.fast
}

// deadlineIn is an absolute time of CLOCK_REALTIME, as mq_timedsend(2) and mq_timedreceive(2) take it.
func deadlineIn(d time.Duration) *unix.Timespec {
	t := unix.NsecToTimespec(time.Now().Add(d).UnixNano())
	return &t
}
