package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/pidfd"
)

//lab:begin stuck

// Why a transfer is cut.
var (
	errClientGone = errors.New("the client has ended")
	errStalled    = errors.New("the client took nothing for too long")
	errStopping   = errors.New("the server is stopping")
	errTooMany    = errors.New("too many transfers for this user at once")
)

// client bounds how long a transfer blocks: until its client dies or takes nothing for the stall time, or the server
// cuts its transfers.
type client struct {
	ctx     context.Context // ends with the client, or with the server's transfers; its cause says which
	cancel  context.CancelCauseFunc
	process *pidfd.Process // nil: not watched
	stall   time.Duration
}

// watch watches the client through a pidfd. It does not watch a PID that no process has, one that cannot be opened,
// such as a thread's, or another user's, which a PID from another namespace may be here.
func watch(parent context.Context, pid int32, owner uint32, stall time.Duration) *client {
	c := &client{stall: stall}
	c.ctx, c.cancel = context.WithCancelCause(parent)
	process, err := pidfd.Open(int(pid))
	if err != nil {
		return c
	}
	if !mayBe(pid, owner) { // asked before INFO is sent: /proc shows no owner once the process has ended
		process.Close()
		return c
	}
	c.process = process
	go func() {
		if process.Wait(c.ctx) == nil {
			c.cancel(errClientGone)
		}
	}()
	return c
}

// mayBe reports whether the process may be the user's. /proc shows root as owner of one that is not dumpable, see
// proc(5).
func mayBe(pid int32, owner uint32) bool {
	var st unix.Stat_t
	err := unix.Stat(fmt.Sprintf("/proc/%d", pid), &st)
	return err != nil || st.Uid == owner || st.Uid == 0
}

// wait sends the message when there is room.
func (c *client) wait(q *mq.Queue, body []byte, kind uint) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.stall)
	defer cancel()
	err := q.Send(ctx, body, kind)
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case c.ctx.Err() != nil:
		return context.Cause(c.ctx)
	}
	// The time may have passed while this server was stopped: there is room if the client has taken something
	// meanwhile.
	if err = q.TrySend(body, kind); errors.Is(err, unix.EAGAIN) {
		err = fmt.Errorf("%w (%v)", errStalled, c.stall)
	}
	return err
}

func (c *client) close() {
	if c.process != nil {
		c.process.Close() // before the slot is released, which stands for its descriptor, too
	}
	c.cancel(nil)
}

//lab:end
