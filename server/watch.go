package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"daemonlab/lab/mq"
	"daemonlab/lab/pidfd"
)

//lab:begin stuck

// Why a transfer is cut.
var (
	errClientGone = errors.New("the client has ended")
	errStalled    = errors.New("the client took nothing for too long")
	errStopping   = errors.New("the server is stopping")
	errTooMany    = errors.New("too many transfers of this user at once")
)

// client bounds the time that a transfer waits: until its client dies or takes nothing for the stall time, or the
// server cuts its transfers.
type client struct {
	process *pidfd.Process // nil: not watched
	stall   time.Duration
	ctx     context.Context // nil before the first wait
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	parent  context.Context
}

// watch refers to the client's process by descriptor. A PID that no process has is not watched; neither is one that
// cannot be opened, as a thread's.
func watch(parent context.Context, pid int32, stall time.Duration) *client {
	c := &client{stall: stall, parent: parent}
	if pid > 0 {
		c.process, _ = pidfd.Open(int(pid))
	}
	return c
}

func (c *client) begin() {
	c.ctx, c.cancel = context.WithCancelCause(c.parent)
	c.timer = time.AfterFunc(c.stall, func() { c.cancel(fmt.Errorf("%w (%v)", errStalled, c.stall)) })
	if c.process != nil {
		go func() {
			if c.process.Wait(c.ctx) == nil {
				c.cancel(errClientGone)
			}
		}()
	}
}

// wait sends the message when there is room.
func (c *client) wait(q *mq.Queue, body []byte, kind uint) error {
	if c.ctx == nil {
		c.begin()
	}
	c.timer.Reset(c.stall)
	err := q.Send(c.ctx, body, kind)
	c.timer.Stop()
	if err != nil && c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return err
}

func (c *client) close() {
	if c.ctx != nil {
		c.timer.Stop()
		c.cancel(nil)
	}
	if c.process != nil {
		c.process.Close()
	}
}

//lab:end
