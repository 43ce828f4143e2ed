package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// transfer is the answer to one request, by a process that does nothing else.
type transfer struct {
	request  wire.Request
	reply    sysv.Queue
	stall    time.Duration
	patience *time.Timer
	began    time.Time
	sent     atomic.Int64 // bytes
}

// answer is the whole life of a child.
func answer(o options) int {
	signal.Ignore(unix.SIGPIPE)
	// An exec of /proc/self/exe is called "exe" otherwise, in ps(1) and the like.
	os.WriteFile("/proc/self/comm", []byte("svfiled"), 0)
	message, err := io.ReadAll(io.LimitReader(os.Stdin, wire.RequestSize+1))
	if err != nil {
		logf("no request on standard input: %v", err)
		return statusUsage
	}
	r, err := wire.ParseRequest(message)
	if err != nil {
		logf("standard input: %v", err)
		return statusUsage
	}
	t := &transfer{request: r, reply: sysv.ByID(r.Queue), stall: o.stall, began: time.Now()}
	// msgsnd(2) has no timeout. A process that waits in it is ended from another thread.
	t.patience = time.AfterFunc(t.stall, t.giveUp)
	if err := t.sendFile(o.root); err != nil {
		t.fail(err)
		return statusFailed
	}
	logf("sent %q to queue %d: %d bytes in %v", r.Path, r.Queue, t.sent.Load(), t.took())
	return statusDone
}

// sendFile sends the file as long as it was when it was opened, then END.
func (t *transfer) sendFile(root string) error {
	f, size, err := openFile(root, t.request.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	piece, err := t.piece()
	if err != nil {
		return err
	}
	buf := make([]byte, piece)
	for rest := size; rest > 0; {
		n, err := io.ReadFull(f, buf[:min(int64(piece), rest)])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the file became shorter while it was sent")
		}
		if err != nil {
			return err
		}
		if err := t.send(wire.Data, buf[:n]); err != nil {
			return err
		}
		t.sent.Add(int64(n))
		rest -= int64(n)
	}
	return t.send(wire.End, nil)
}

// piece is how many bytes a message of this exchange has.
func (t *transfer) piece() (int, error) {
	s, err := t.reply.Look()
	if err != nil {
		return 0, err
	}
	l, err := sysv.SystemLimits()
	return wire.PieceSize(s.MaxBytes, l.MsgMax), err
}

// send puts one message into the client's queue, where it waits for room until t.patience ends the process.
func (t *transfer) send(mtype int, body []byte) error {
	err := t.reply.Send(mtype, body, 0)
	t.patience.Reset(t.stall)
	return err
}

// fail tells the client, and the log, why its exchange ends.
func (t *transfer) fail(reason error) {
	logf("failed %q to queue %d: %d bytes in %v: %v", t.request.Path, t.request.Queue, t.sent.Load(), t.took(),
		refuse(t.request, reason))
}

func (t *transfer) took() time.Duration { return time.Since(t.began).Round(time.Microsecond) }

// giveUp ends the process when the client has taken nothing for too long. If it was killed, its queue stays: the server
// cannot know that, and the queue is not the server's.
func (t *transfer) giveUp() {
	t.fail(fmt.Errorf("the client has taken nothing for %v; if it has ended, remove its queue: ipcrm -q %d",
		t.stall, t.request.Queue))
	os.Exit(statusFailed)
}
