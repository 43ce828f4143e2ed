// Package log is a daemon's log, in a file, syslog or on stderr. Logging delays nobody, and a limit keeps
// strangers from filling it.
package log

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	// flushDelay is how long a line may be held back for batching: whoever logs it makes no system call.
	flushDelay = 5 * time.Millisecond
	// rate and burst bound the growth of the log, in bytes a second and at once. Lines beyond are lost, as are those
	// that the log's disk does not take; the next line written says how many.
	rate  = 256 << 10
	burst = 1 << 20
	// maxOutside is how much of a text from outside is logged, in bytes.
	maxOutside = 256
	// closeTime is how long the end of the daemon waits for a log that hangs.
	closeTime = 500 * time.Millisecond
)

// Logger writes lines from a goroutine of its own.
type Logger struct {
	open func() (Sink, error)
	tag  string // the program and its PID

	mu      sync.Mutex
	pending []byte
	lost    int // lines
	credit  int // bytes that may be logged now
	counted time.Time
	sink    Sink
	old     Sink // for writeOut to close, which may still be writing to it
	closed  bool

	wake chan struct{} // capacity 1: writeOut has something to do
	done chan struct{} // closed when everything is written
}

// Sink takes whole lines, each with its newline. One goroutine writes and closes.
type Sink interface {
	write(lines []byte) error
	catchCrashes() error
	close()
}

// Open starts a logger on what open returns, now and at each Reopen. Each line begins with the time, the program's
// name and its PID.
func Open(program string, open func() (Sink, error)) (*Logger, error) {
	s, err := open()
	if err != nil {
		return nil, err
	}
	l := &Logger{open: open, tag: fmt.Sprintf("%s[%d]: ", program, os.Getpid()), sink: s, credit: burst,
		wake: make(chan struct{}, 1), done: make(chan struct{})}
	go l.writeOut()
	return l, nil
}

// Printf logs a line, which is written soon.
func (l *Logger) Printf(format string, args ...any) {
	l.print(false, format, args)
}

// Boundedf logs a line that others can cause at will. Lines beyond the log's rate are lost.
func (l *Logger) Boundedf(format string, args ...any) {
	l.print(true, format, args)
}

func (l *Logger) print(isBounded bool, format string, args []any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.credit = min(burst, l.credit+int(now.Sub(l.counted).Seconds()*rate)) // it accrues with time
	l.counted = now
	if isBounded && l.credit <= 0 || len(l.pending) > burst {
		l.lost++
		return
	}
	before := len(l.pending)
	l.pending = fmt.Appendf(l.appendPrefix(l.pending, now), format+"\n", args...)
	l.credit -= len(l.pending) - before
	l.wakeUp()
}

func (l *Logger) appendPrefix(line []byte, now time.Time) []byte {
	return append(now.UTC().AppendFormat(line, "2006-01-02T15:04:05.000000Z "), l.tag...)
}

func (l *Logger) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// writeOut is the logger's goroutine. It alone writes.
func (l *Logger) writeOut() {
	defer close(l.done)
	var lines []byte
	for range l.wake {
		time.Sleep(flushDelay)
		l.mu.Lock()
		lines, l.pending = l.pending, lines[:0]
		sink, old := l.sink, l.old
		lost, closed := l.lost, l.closed
		l.old, l.lost = nil, 0
		l.mu.Unlock()
		if old != nil {
			old.close()
		}
		if !l.write(sink, lines, lost) {
			l.mu.Lock()
			l.lost += lost + bytes.Count(lines, []byte("\n"))
			l.mu.Unlock()
		}
		if closed {
			return
		}
	}
}

// write says first how many lines were lost before, and reports whether both were written.
func (l *Logger) write(sink Sink, lines []byte, lost int) bool {
	if lost > 0 {
		note := fmt.Appendf(l.appendPrefix(nil, time.Now()), "%d lines lost: more than the log takes\n", lost)
		if sink.write(note) != nil {
			return false
		}
	}
	return sink.write(lines) == nil
}

// CatchCrashes makes the runtime write the text and stack of a panic or fatal signal to the log from now on.
func (l *Logger) CatchCrashes() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sink.catchCrashes()
}

// Reopen reopens the log, for log rotation, and redirects crashes there. On an error the old one stays in use.
func (l *Logger) Reopen() error {
	s, err := l.open()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.old == nil {
		l.old = l.sink
	} else { // writeOut has one to close already: descriptors must not pile up behind a slow disk
		l.sink.close()
	}
	l.sink = s
	l.wakeUp()
	return s.catchCrashes()
}

// Close writes what is pending.
func (l *Logger) Close() {
	l.mu.Lock()
	l.closed = true
	l.wakeUp()
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(closeTime):
	}
}

// Outside returns a text from outside, such as a name sent by a client, quoted and truncated.
type Outside string

func (o Outside) String() string {
	if len(o) > maxOutside {
		return strconv.Quote(string(o[:maxOutside])) + "..."
	}
	return strconv.Quote(string(o))
}
