//go:build linux

package mq

import (
	"context"
	"errors"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// waits is a queue's registration with Go's poller. The first caller that has to wait makes it, so a queue that is
// opened, used and closed without waiting never costs an epoll_ctl(2).
type waits struct {
	file          *os.File
	send, receive direction
}

// direction is reading or writing. The poller has one deadline per file and direction, so only one caller at a time
// waits there; the others queue in order of arrival.
type direction struct {
	turn  chan struct{}
	block func(attempt func(fd uintptr) (done bool)) error // RawConn.Read or Write: attempt, park, repeat
	expel func(time.Time) error                            // SetReadDeadline or SetWriteDeadline
}

// poll returns the queue's registration with the poller, and makes it if needed.
func (q *Queue) poll() (*waits, error) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		return nil, os.ErrClosed
	}
	q.once.Do(func() { q.waits = newWaits(q.fd, q.name) })
	return q.waits, nil
}

// newWaits registers the descriptor with Go's poller, which accepts only O_NONBLOCK. That is set again, because
// somebody who shares the open file description may have cleared it, as [os.File.Fd] of a duplicate does.
func newWaits(fd int, name string) *waits {
	unix.SetNonblock(fd, true)
	file := os.NewFile(uintptr(fd), name)
	conn, err := file.SyscallConn()
	if err != nil { // only for a nil file
		panic(err)
	}
	return &waits{
		file:    file,
		send:    direction{make(chan struct{}, 1), conn.Write, file.SetWriteDeadline},
		receive: direction{make(chan struct{}, 1), conn.Read, file.SetReadDeadline},
	}
}

func (q *Queue) waitSend(ctx context.Context, msg []byte, prio uint) error {
	w, err := q.poll()
	if err != nil {
		return err
	}
	return q.wait(ctx, &w.send, func(fd int) unix.Errno { return sysTrySend(fd, msg, prio) })
}

func (q *Queue) waitReceive(ctx context.Context, buf []byte) (n int, prio uint, err error) {
	w, err := q.poll()
	if err != nil {
		return 0, 0, err
	}
	err = q.wait(ctx, &w.receive, func(fd int) (errno unix.Errno) {
		n, prio, errno = sysTryReceive(fd, buf)
		return errno
	})
	return n, prio, err
}

// wait repeats the attempt until it is done, ctx is done or the queue is closed.
func (q *Queue) wait(ctx context.Context, d *direction, attempt func(fd int) unix.Errno) error {
	defer runtime.KeepAlive(q) // not collected while somebody waits
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-d.turn }()

	expelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		d.expel(time.Unix(1, 0)) // fails only on a closed file, where nobody waits
		close(expelled)
	})
	var errno unix.Errno
	err := d.block(func(fd uintptr) bool {
		errno = attempt(int(fd))
		return errno != unix.EAGAIN
	})
	if !stop() { // this caller's deadline must not hit the next one
		<-expelled
		d.expel(time.Time{})
	}

	switch {
	case err == nil:
		return failure(errno)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ctx.Err()
	case q.isClosed(): // the poller's own error for that is not os.ErrClosed
		return os.ErrClosed
	}
	return err
}
