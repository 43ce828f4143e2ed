package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
	labwire "daemonlab/lab/wire"
)

// answer is the whole life of a child. The client has been told its error.
func answer(o options) error {
	signal.Ignore(unix.SIGPIPE)
	os.WriteFile("/proc/self/comm", []byte("svfiled"), 0) // for ps(1): an exec of /proc/self/exe names it "exe"
	q, began := sysv.Queue(o.answer), time.Now()
	failed := func(err error) error {
		logf("failed %q to queue %d after %v: %v", o.path, q, time.Since(began), refuse(q, err))
		return err
	}
	// msgsnd(2) has no timeout, so another thread ends the process. The queue stays: it is the client's, and the server
	// cannot know whether the client was killed.
	giveUp := time.AfterFunc(o.stall, func() {
		failed(fmt.Errorf("the client has taken nothing for %v; if it has ended, remove its queue: ipcrm -q %d", o.stall, q))
		os.Exit(statusFailed)
	})
	if err := send(o, q, giveUp); err != nil {
		return failed(err)
	}
	logf("sent %q to queue %d in %v", o.path, q, time.Since(began))
	return nil
}

// send sends as much of the file as it had when opened, then END.
func send(o options, q sysv.Queue, giveUp *time.Timer) error {
	f, err := openFile(o.root, o.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	s, statusErr := q.Status()
	text, readErr := os.ReadFile("/proc/sys/kernel/msgmax")
	msgMax, numberErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err := cmp.Or(err, statusErr, readErr, numberErr); err != nil {
		return err
	}
	buf := make([]byte, wire.PieceSize(s.MaxBytes, msgMax))
	for rest := info.Size(); rest > 0; rest -= int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), rest)]
		if _, err := io.ReadFull(f, buf); err != nil { // the file was truncated, for instance
			return fmt.Errorf("the file's last %d bytes: %w", rest, err)
		}
		if err := q.Send(wire.Data, buf, 0); err != nil {
			return err
		}
		giveUp.Reset(o.stall)
	}
	return q.Send(wire.End, nil, 0)
}

// openFile opens a file below dir, which is also the meaning of a leading slash. No path leads out of dir, see os.Root.
// O_NONBLOCK keeps a FIFO without a writer from blocking the process.
func openFile(dir, path string) (*os.File, error) {
	if path == "" {
		return nil, errors.New("empty path")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(cmp.Or(strings.TrimLeft(path, "/"), "."), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		err = pathErr.Err // the client knows the path
	}
	return f, err
}

// refuse tells the client, without waiting, why its exchange ends. It returns the reason for the log, which also notes
// if the client could not be told although its queue exists.
func refuse(q sysv.Queue, reason error) error {
	err := q.Send(wire.Failure, labwire.FailureText(reason.Error(), wire.FailureSize), sysv.NoWait)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w; the client could not be told: %w", reason, err)
	}
	return reason
}
