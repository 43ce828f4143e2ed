package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/pidfd"
)

//lab:begin stuck

// Why a client is not waited for any more.
var (
	errClientGone = errors.New("the client has ended")
	errStalled    = errors.New("the client took nothing for too long")
	errStopping   = errors.New("the server is stopping")
)

// patience bounds the time that a transfer waits for its client: it ends when the client dies, takes nothing for the
// stall time, or when the server gives up its transfers.
type patience struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	stall  *time.Timer
	limit  time.Duration
}

// newPatience watches the client. pid is 0 for one that is not watched.
func newPatience(ctx context.Context, limit time.Duration, pid int32) *patience {
	p := &patience{limit: limit}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	p.stall = time.AfterFunc(limit, func() { p.cancel(fmt.Errorf("%w (%v)", errStalled, limit)) })
	p.stall.Stop()
	if pid > 0 {
		go p.watch(int(pid))
	}
	return p
}

// opening bounds the threads that open a pidfd to one: pidfd_open(2) has been seen to sleep for milliseconds when many
// transfers begin at once, each in a thread of its own.
var opening sync.Mutex

// watch ends the patience when the client has ended. It was alive a moment ago, so that a process that cannot be found
// any more has ended.
func (p *patience) watch(pid int) {
	opening.Lock()
	client, err := pidfd.Open(pid)
	opening.Unlock()
	switch {
	case errors.Is(err, unix.ESRCH):
		p.cancel(errClientGone)
		return
	case err != nil: // a thread's ID, or no descriptor left: the stall time bounds the transfer
		return
	}
	defer client.Close()
	if client.Wait(p.ctx) == nil {
		p.cancel(errClientGone)
	}
}

// wait runs send, which waits for room, with the stall time running.
func (p *patience) wait(send func(context.Context) error) error {
	p.stall.Reset(p.limit)
	defer p.stall.Stop()
	err := send(p.ctx)
	if err != nil && p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	return err
}

// end lets go of the client.
func (p *patience) end() {
	p.stall.Stop()
	p.cancel(nil)
}

// watchable returns the PID of a request if there is such a process now, else 0: a PID of another namespace means
// nothing here.
func watchable(pid int32) int32 {
	if pid <= 0 || unix.Kill(int(pid), 0) == unix.ESRCH {
		return 0
	}
	return pid
}

//lab:end
