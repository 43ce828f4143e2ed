package main

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
)

// maxPending bounds what waits to be written, in bytes. A log that cannot keep up, or whose disk is full, loses lines
// and says how many as soon as it can; it never holds up a transfer.
const maxPending = 256 << 10

// soonTime is how long a line may wait for others.
const soonTime = 2 * time.Millisecond

// logger writes lines from a goroutine of its own, so that the line of a transfer costs the transfer no system call.
type logger struct {
	open func() (sink, error)
	tag  string // the program and its PID, in each line

	mu      sync.Mutex
	pending []byte
	lost    int
	closed  bool

	soon *time.Timer   // wakes the writer
	wake chan struct{} // capacity 1: something is pending, or the logger was closed
	done chan struct{} // closed when everything is written

	sinkMu sync.Mutex
	sink   sink
}

// sink takes whole lines, each with its newline.
type sink interface {
	write(lines []byte) error
	close()
}

// openLog starts a logger on what open returns, now and again on every reopen.
func openLog(open func() (sink, error)) (*logger, error) {
	s, err := open()
	if err != nil {
		return nil, err
	}
	l := &logger{open: open, tag: fmt.Sprintf("mqfiled[%d]: ", os.Getpid()), sink: s, wake: make(chan struct{}, 1), done: make(chan struct{})}
	l.soon = time.AfterFunc(soonTime, l.wakeUp)
	go l.writeOut()
	return l, nil
}

// printf adds a line, to be written at once.
func (l *logger) printf(format string, args ...any) {
	l.add(fmt.Appendf(nil, format, args...))
	l.wakeUp()
}

// printSoon adds a line that may wait for others: waking the writer for each would cost more than to write it.
func (l *logger) printSoon(text []byte) {
	if l.add(text) {
		l.soon.Reset(soonTime)
	}
}

// add tells whether the line is the first to wait.
func (l *logger) add(text []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) >= maxPending {
		l.lost++
		return false
	}
	first := len(l.pending) == 0
	l.pending = l.appendLine(l.pending, text)
	return first
}

func (l *logger) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *logger) appendLine(lines, text []byte) []byte {
	lines = time.Now().UTC().AppendFormat(lines, "2006-01-02T15:04:05.000000Z ")
	lines = append(lines, l.tag...)
	lines = append(lines, text...)
	return append(lines, '\n')
}

// writeOut is the logger's goroutine. It alone writes.
func (l *logger) writeOut() {
	defer close(l.done)
	var lines []byte
	for range l.wake {
		l.mu.Lock()
		lines, l.pending = l.pending, lines[:0]
		lost, closed := l.lost, l.closed
		l.mu.Unlock()
		written := l.write(lines, lost)
		l.mu.Lock()
		if written && len(lines) > 0 {
			l.lost -= lost
		} else {
			l.lost += bytes.Count(lines, []byte("\n"))
		}
		l.mu.Unlock()
		if closed {
			return
		}
	}
}

// write tells first how many lines were lost before. That and the lines are written, or not.
func (l *logger) write(lines []byte, lost int) bool {
	l.sinkMu.Lock()
	defer l.sinkMu.Unlock()
	if lost > 0 && len(lines) > 0 {
		note := fmt.Appendf(nil, "%d lines were lost: the log could not take them", lost)
		if l.sink.write(l.appendLine(nil, note)) != nil {
			return false
		}
	}
	return l.sink.write(lines) == nil
}

// reopen closes and opens the log file again, for log rotation. On an error the old file stays in use.
func (l *logger) reopen() error {
	//lab:begin sighup
	//lab:instead return nil
	s, err := l.open()
	if err != nil {
		return err
	}
	l.sinkMu.Lock()
	defer l.sinkMu.Unlock()
	l.sink.close()
	l.sink = s
	return nil
	//lab:end
}

// close writes what is pending, but does not wait longer than a moment for a log that hangs.
func (l *logger) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wakeUp()
	select {
	case <-l.done:
	case <-time.After(500 * time.Millisecond):
	}
}

// logFile is a sink on a descriptor.
type logFile int

// stderrLog is the log of a server in the foreground.
func stderrLog() (sink, error) {
	return logFile(2), nil
}

// logFileOf returns what opens the file, as whoever the process is by then: root at the start, the account on SIGHUP.
// A file that root makes belongs to the account, which could not open it again otherwise.
func logFileOf(path string, owner *daemon.Account) func() (sink, error) {
	return func() (sink, error) {
		const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_NOCTTY | unix.O_CLOEXEC | unix.O_NONBLOCK
		fd, err := unix.Open(path, flags|unix.O_EXCL, 0o640)
		if err == nil && owner != nil && unix.Geteuid() == 0 {
			err = unix.Fchown(fd, owner.UID, owner.GID)
		}
		if err == unix.EEXIST {
			fd, err = unix.Open(path, flags, 0)
		}
		if err != nil {
			return nil, fmt.Errorf("log %s: %w", path, err)
		}
		return logFile(fd), nil
	}
}

func (f logFile) write(lines []byte) error {
	for len(lines) > 0 {
		n, err := unix.Write(int(f), lines)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		lines = lines[n:]
	}
	return nil
}

func (f logFile) close() {
	if f > 2 {
		unix.Close(int(f))
	}
}
