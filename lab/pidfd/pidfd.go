// Package pidfd refers to processes by descriptor. A PID may be another process's a moment later; a descriptor from
// pidfd_open(2) stays with one process, and reports the end even of one that is not a child. Linux 5.10 or newer.
package pidfd

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one process, alive or not.
type Process struct {
	pid  int
	file *os.File
}

// Open opens the process that has the PID now. The error matches unix.ESRCH if there is none. The caller closes it.
func Open(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open %d: %w", pid, err)
	}
	return &Process{pid: pid, file: os.NewFile(uintptr(fd), "pidfd")}, nil
}

// PID returns the PID given to Open.
func (p *Process) PID() int { return p.pid }

// Close makes a concurrent Wait return os.ErrClosed.
func (p *Process) Close() error { return p.file.Close() }

// Signal sends sig to the process. The error matches unix.ESRCH when it has ended and was reaped.
func (p *Process) Signal(sig unix.Signal) error {
	conn, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = conn.Control(func(fd uintptr) { sendErr = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	if err = closedOr(err, sendErr); err != nil {
		return fmt.Errorf("send %s to PID %d: %w", unix.SignalName(sig), p.pid, err)
	}
	return nil
}

// Wait returns nil when the process has ended, a zombie included, or ctx's error. It costs no thread: a pidfd becomes
// readable when the process ends, and the goroutine is parked in Go's poller until then.
func (p *Process) Wait(ctx context.Context) error {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		p.file.SetReadDeadline(time.Unix(1, 0)) // long past
		close(interrupted)
	})
	defer func() {
		if !stop() {
			<-interrupted
			p.file.SetReadDeadline(time.Time{})
		}
	}()
	conn, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var pollErr error
	err = conn.Read(func(fd uintptr) bool {
		var n int
		for pollErr = unix.EINTR; pollErr == unix.EINTR; {
			n, pollErr = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		}
		return n > 0 || pollErr != nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return closedOr(err, pollErr)
}

// closedOr translates a RawConn's own error: without a deadline the file can only have been closed, which the poller's
// internal error does not match.
func closedOr(connErr, callErr error) error {
	if connErr != nil {
		return os.ErrClosed
	}
	return callErr
}
