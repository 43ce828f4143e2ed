package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

//lab:begin malformed concurrent

// reply is a client's queue, open for sending.
type reply struct {
	server  *server
	queue   *mq.Queue
	owner   uint32  // UID of the queue's owner
	msgSize int     // bytes
	room    int     // messages, when opened
	pid     int32   // of the client, as its request says
	client  *client // nil before handOver
}

// openReply opens the client's queue for sending. Others than its owner must be allowed to send to it: the server's
// account may be able to write where the client itself may not.
func (s *server) openReply(r wire.Request) (*reply, error) {
	if r.Reply == s.Queue { // by name: closing another descriptor of the request queue would end its registration
		return nil, fmt.Errorf("reply queue %q: is the request queue", r.Reply)
	}
	q, err := mq.Open(r.Reply, os.O_WRONLY, 0, nil)
	if err != nil {
		return nil, err
	}
	st, err := q.Stat()
	attr, attrErr := q.Attr()
	switch {
	case err != nil || attrErr != nil:
		err = errors.Join(err, attrErr)
	case st.Mode&unix.S_IWOTH == 0:
		err = fmt.Errorf("reply queue %q: mode %#o, others may not send to it", r.Reply, st.Mode&0o777)
	case attr.MsgSize < wire.MinMsgSize:
		err = fmt.Errorf("reply queue %q: messages of %d bytes, at least %d are needed", r.Reply, attr.MsgSize, wire.MinMsgSize)
	}
	if err != nil {
		q.Close()
		return nil, err
	}
	return &reply{server: s, queue: q, owner: st.Uid, msgSize: attr.MsgSize, room: attr.MaxMsg - attr.CurMsgs, pid: r.PID}, nil
}

// holds reports whether the queue has room for a whole file of size bytes.
func (r *reply) holds(size int64) bool {
	const infoAndEnd = 2
	return size <= int64(r.room-infoAndEnd)*int64(r.msgSize)
}

// handOver prepares for blocking: another goroutine takes over the request queue, the client is watched, since it may
// die from now on, and the transfer counts against its user's limit.
func (r *reply) handOver() error {
	if r.client != nil {
		return nil
	}
	if !r.server.users.enter(r.owner) {
		return errTooMany
	}
	r.client = watch(r.server.ctx, r.pid, r.owner, r.server.Stall)
	go r.server.drain(0)
	return nil
}

// pause waits for d, or until the transfer is cut.
func (r *reply) pause(d time.Duration) error {
	if err := r.handOver(); err != nil {
		return err
	}
	select {
	case <-r.client.ctx.Done():
		return context.Cause(r.client.ctx)
	case <-time.After(d):
		return nil
	}
}

// send sends one message, waiting for room.
func (r *reply) send(body []byte, kind uint) error {
	if err := r.queue.TrySend(body, kind); !errors.Is(err, unix.EAGAIN) {
		return err
	}
	if err := r.handOver(); err != nil {
		return err
	}
	return r.client.wait(r.queue, body, kind)
}

// sendData sends b in messages of the queue's size.
func (r *reply) sendData(b []byte) error {
	for len(b) > 0 {
		n := min(r.msgSize, len(b))
		if err := r.send(b[:n], wire.Data); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// fail tells the client why the exchange ends. A client that takes nothing, or that the server has no more time for,
// gets it only if there is room right now.
func (r *reply) fail(path string, reason error) {
	text := path + ": " + reason.Error()
	if len(text) > r.msgSize { // truncated, it would lose the reason
		text = reason.Error()
	}
	body := wire.FailureText(text, r.msgSize)
	for _, cut := range []error{errClientGone, errStalled, errStopping, errTooMany} {
		if errors.Is(reason, cut) {
			r.queue.TrySend(body, wire.Failure)
			return
		}
	}
	r.send(body, wire.Failure)
}

func (r *reply) close() {
	if r.client != nil {
		r.client.close()
		r.server.users.leave(r.owner)
	}
	r.queue.Close()
}

//lab:end
