//go:build linux

package mq

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// waits is a queue's place in Go's poller. It is made by the first caller that has to wait, so that a queue that is
// opened, used and closed without waiting never costs an epoll_ctl(2).
type waits struct {
	file    *os.File
	send    direction
	receive direction
}

// direction is one of the two ways to wait. The poller has one deadline for a file and direction, so one caller at a
// time has its turn there; the others wait for theirs in the order of arrival.
type direction struct {
	turn  chan struct{}
	block func(attempt func(fd uintptr) bool) error // RawConn.Read or Write: attempt, park while it says false, repeat
	expel func(time.Time) error                     // SetReadDeadline or SetWriteDeadline

	// The caller's whose turn it is.
	attempt func(fd uintptr) bool // made once, so that a wait allocates nothing
	buf     []byte
	prio    uint
	n       int
	errno   unix.Errno

	// What may end the turn beside a deadline. The channel of the last context is watched until a caller comes with
	// another: a loop that waits with one context is the rule. The context itself is the caller's; nothing of it is kept.
	mu       sync.Mutex
	watched  <-chan struct{} // the Done of that context; nil when it has ended
	changed  chan struct{}   // tells the watching goroutine of another watched, or of closed; nil until there is one
	present  <-chan struct{} // the Done of the caller whose turn it is; nil in between, and if it has none
	expelled bool
	deadline time.Time // the user's, in force when nobody is expelled
	closed   bool
}

// poll gives the queue's place in the poller.
func (q *Queue) poll() (*waits, error) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		return nil, os.ErrClosed
	}
	q.once.Do(func() { q.waits = newWaits(q.descriptor, q.name) })
	return q.waits, nil
}

// newWaits registers the descriptor with Go's poller, which takes only what is O_NONBLOCK: set again, because whoever
// shares the open file description may have cleared it. [os.File.Fd] of a duplicate does.
func newWaits(q *descriptor, name string) *waits {
	unix.SetNonblock(q.fd, true)
	w := &waits{file: os.NewFile(uintptr(q.fd), name)}
	conn, err := w.file.SyscallConn()
	if err != nil { // only for a nil file
		panic(err)
	}
	w.send.init(conn.Write, w.file.SetWriteDeadline, func(d *direction, fd int) {
		d.errno = sysTrySend(fd, d.buf, d.prio, q.nonBlocking())
	})
	w.receive.init(conn.Read, w.file.SetReadDeadline, func(d *direction, fd int) {
		d.n, d.prio, d.errno = sysTryReceive(fd, d.buf, q.nonBlocking())
	})
	return w
}

func (d *direction) init(block func(func(uintptr) bool) error, expel func(time.Time) error, try func(*direction, int)) {
	d.turn = make(chan struct{}, 1)
	d.block, d.expel = block, expel
	d.attempt = func(fd uintptr) bool {
		try(d, int(fd))
		return d.errno != unix.EAGAIN
	}
}

// close ends all waits, then closes the descriptor.
func (w *waits) close() error {
	w.send.shut()
	w.receive.shut()
	return w.file.Close()
}

func (q *Queue) waitSend(ctx context.Context, msg []byte, prio uint) error {
	w, err := q.poll()
	if err != nil {
		return err
	}
	_, _, err = w.send.wait(ctx, msg, prio)
	runtime.KeepAlive(q) // while somebody waits, it is not dropped
	return err
}

func (q *Queue) waitReceive(ctx context.Context, buf []byte) (int, uint, error) {
	w, err := q.poll()
	if err != nil {
		return 0, 0, err
	}
	n, prio, err := w.receive.wait(ctx, buf, 0)
	runtime.KeepAlive(q)
	return n, prio, err
}

// wait attempts the call until it is done, the context ends or the queue is closed.
func (d *direction) wait(ctx context.Context, buf []byte, prio uint) (int, uint, error) {
	done := ctx.Done()
	select {
	case d.turn <- struct{}{}:
	case <-done:
		return 0, 0, ctx.Err()
	}
	defer func() { <-d.turn }()
	if done != nil {
		if err := d.arrive(ctx, done); err != nil {
			return 0, 0, err
		}
		defer d.leave()
	}
	d.buf, d.prio = buf, prio
	err := d.block(d.attempt)
	d.buf = nil
	switch {
	case err == nil:
		return d.n, d.prio, failure(d.errno)
	case errors.Is(err, os.ErrDeadlineExceeded):
		if ended := ctx.Err(); ended != nil {
			err = ended
		}
		return 0, 0, err
	default:
		return 0, 0, d.reason(err)
	}
}

// arrive begins the turn of a caller whose context can end.
func (d *direction) arrive(ctx context.Context, done <-chan struct{}) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return os.ErrClosed
	}
	if d.watched != done {
		d.watched = done
		if d.changed == nil {
			d.changed = make(chan struct{}, 1)
			go d.watch()
		} else {
			d.tell()
		}
	}
	if err := ctx.Err(); err != nil { // ended before it was present: interrupt has come and gone
		return err
	}
	d.present = done
	return nil
}

// watch interrupts the callers whose context ends, until the queue is closed. That costs a goroutine for a queue that has
// waited with a context; context.AfterFunc would cost five allocations for each new one, and keep it alive.
func (d *direction) watch() {
	for {
		d.mu.Lock()
		done, closed := d.watched, d.closed
		d.mu.Unlock()
		if closed {
			return
		}
		select {
		case <-done:
			d.interrupt(done)
		case <-d.changed:
		}
	}
}

// tell wakes watch, which looks at all that has changed. The caller has locked mu.
func (d *direction) tell() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// interrupt ends the turn of the caller whose context ended, and of no other.
func (d *direction) interrupt(done <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watched == done {
		d.watched = nil
	}
	if d.present == done {
		d.expelled = true
		d.expel(time.Unix(1, 0)) // fails only on a closed file, where nobody waits
	}
}

// leave ends the turn. The deadline that expelled this caller must not meet the next.
func (d *direction) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.present = nil
	if d.expelled {
		d.expelled = false
		d.expel(d.deadline)
	}
}

func (d *direction) setDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deadline = t
	if d.closed {
		return os.ErrClosed
	}
	if d.expelled { // leave sets it
		return nil
	}
	return d.expel(t)
}

func (d *direction) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.tell() // nobody, if nobody watches: a nil channel takes nothing
}

// reason tells a wait that Close ended from one that could not begin. The poller's own error for a closed file is not
// os.ErrClosed.
func (d *direction) reason(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return os.ErrClosed
	}
	return err
}
