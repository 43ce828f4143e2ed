package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
)

const (
	// flushDelay is how long a line may be held back for batching: the line of a request costs it no system call.
	flushDelay = 5 * time.Millisecond
	// logRate and logBurst bound what clients can make the log grow, in bytes a second and at once. Lines beyond are lost,
	// and counted in the next that is written; so are those that the log's disk does not take.
	logRate  = 256 << 10
	logBurst = 1 << 20
	// maxLogged is how much of a name from outside is logged, in bytes.
	maxLogged = 256
)

// logger writes lines from a goroutine of its own. It never holds up a transfer.
type logger struct {
	open func() (sink, error)
	tag  string // the program and its PID

	mu      sync.Mutex
	pending []byte
	lost    int // lines
	credit  int // bytes that may be logged now
	counted time.Time
	closed  bool

	wake chan struct{} // capacity 1: something is pending, or the logger was closed
	done chan struct{} // closed when everything is written

	sinkMu sync.Mutex
	sink   sink
}

// sink takes whole lines, each with its newline.
type sink interface {
	write(lines []byte) error
	crashFile() *os.File // for the text of a crash; nil where stderr has it
	close()
}

// openLog starts a logger on what open returns, now and on every reopen.
func openLog(open func() (sink, error)) (*logger, error) {
	s, err := open()
	if err != nil {
		return nil, err
	}
	l := &logger{open: open, tag: "mqfiled[" + strconv.Itoa(os.Getpid()) + "]: ", sink: s, credit: logBurst,
		wake: make(chan struct{}, 1), done: make(chan struct{})}
	go l.writeOut()
	return l, nil
}

func (l *logger) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.admits(now) {
		l.lost++
		return
	}
	before := len(l.pending)
	l.pending = fmt.Appendf(l.appendPrefix(l.pending, now), format+"\n", args...)
	l.credit -= len(l.pending) - before
	l.wakeUp()
}

// admits reports whether the log may grow. Credit accrues with time, up to logBurst.
func (l *logger) admits(now time.Time) bool {
	l.credit = min(logBurst, l.credit+int(now.Sub(l.counted).Seconds()*logRate))
	l.counted = now
	return l.credit > 0
}

func (l *logger) appendPrefix(line []byte, now time.Time) []byte {
	return append(now.UTC().AppendFormat(line, "2006-01-02T15:04:05.000000Z "), l.tag...)
}

func (l *logger) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// writeOut is the logger's goroutine. It alone writes.
func (l *logger) writeOut() {
	defer close(l.done)
	var lines []byte
	for range l.wake {
		time.Sleep(flushDelay)
		l.mu.Lock()
		lines, l.pending = l.pending, lines[:0]
		lost, closed := l.lost, l.closed
		l.lost = 0
		l.mu.Unlock()
		if !l.write(lines, lost) {
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
func (l *logger) write(lines []byte, lost int) bool {
	l.sinkMu.Lock()
	defer l.sinkMu.Unlock()
	if lost > 0 {
		note := fmt.Appendf(l.appendPrefix(nil, time.Now()), "%d lines lost: more than the log takes\n", lost)
		if l.sink.write(note) != nil {
			return false
		}
	}
	return l.sink.write(lines) == nil
}

// crashFile is where the text of a crash goes.
func (l *logger) crashFile() *os.File {
	l.sinkMu.Lock()
	defer l.sinkMu.Unlock()
	return l.sink.crashFile()
}

// reopen opens the log again, for log rotation. On an error the old one stays in use.
func (l *logger) reopen() error {
	//lab:begin sighup
	//lab:instead return nil
	s, err := l.open()
	if err != nil {
		return err
	}
	l.sinkMu.Lock()
	defer l.sinkMu.Unlock()
	debug.SetCrashOutput(s.crashFile(), debug.CrashOptions{})
	l.sink.close()
	l.sink = s
	return nil
	//lab:end
}

// close writes what is pending, but does not wait longer than a moment for a log that hangs.
func (l *logger) close() {
	l.mu.Lock()
	l.closed = true
	l.wakeUp()
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(500 * time.Millisecond):
	}
}

// stderrLog is the sink of a server in the foreground.
type stderrLog struct{}

func (stderrLog) write(lines []byte) error { _, err := os.Stderr.Write(lines); return err }
func (stderrLog) crashFile() *os.File      { return nil }
func (stderrLog) close()                   {}

// logFile is a sink on a file.
type logFile struct{ *os.File }

func (f logFile) write(lines []byte) error { _, err := f.Write(lines); return err }
func (f logFile) crashFile() *os.File      { return f.File }
func (f logFile) close()                   { f.Close() }

// logFileAt returns what opens the file, as whoever the process is then: root at the start, the account on SIGHUP.
func logFileAt(path string, owner *daemon.Account) func() (sink, error) {
	return func() (sink, error) {
		f, err := openLogFile(path, owner)
		if err != nil {
			return nil, fmt.Errorf("log %q: %w", path, err)
		}
		return logFile{f}, nil
	}
}

// openLogFile makes the file for its owner, or appends to one that is this user's or the owner's alone: by a symbolic or
// a hard link somebody could have root write into another file. Devices and FIFOs are taken as they are.
func openLogFile(path string, owner *daemon.Account) (*os.File, error) {
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_NOFOLLOW | unix.O_NOCTTY | unix.O_CLOEXEC | unix.O_NONBLOCK
	uid := unix.Geteuid()
	fd, err := unix.Open(path, flags|unix.O_CREAT|unix.O_EXCL, 0o640)
	if err == nil && owner != nil && uid == 0 {
		err = unix.Fchown(fd, owner.UID, owner.GID)
	}
	if err == unix.EEXIST {
		fd, err = unix.Open(path, flags, 0)
	}
	if err == unix.ELOOP {
		return nil, fmt.Errorf("is a symbolic link: %w", err)
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	isOurs := int(st.Uid) == uid || owner != nil && int(st.Uid) == owner.UID
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink != 1:
		err = fmt.Errorf("has %d links, another file could be written to", st.Nlink)
	case st.Mode&unix.S_IFMT == unix.S_IFREG && !isOurs:
		err = fmt.Errorf("belongs to user %d, not to %d", st.Uid, uid)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// outside is a text from outside as the log shows it: quoted, and cut to maxLogged bytes.
type outside string

func (o outside) String() string {
	if len(o) > maxLogged {
		return strconv.Quote(string(o[:maxLogged])) + "..."
	}
	return strconv.Quote(string(o))
}
