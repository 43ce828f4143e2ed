package log

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	syslogSocket  = "/dev/log"
	journalSocket = "/run/systemd/journal/stdout"
	// facility daemon (3), severities info (6) and critical (2), see syslog(3)
	syslogInfo     = 3<<3 | 6
	syslogCritical = 3<<3 | 2
)

// syslog sends each line as a datagram to the machine's log daemon. It uses the socket calls, not log/syslog: that
// package needs net, and net uses cgo wherever a C compiler is found.
type syslog struct {
	program string
	fd      int         // -1: no log daemon has answered yet
	catches atomic.Bool // crashes; again after each reconnection
}

// Syslog returns a function that opens the machine's log. It never fails: a log daemon that does not answer may start
// later.
func Syslog(program string) func() (Sink, error) {
	return func() (Sink, error) {
		s := &syslog{program: program, fd: -1}
		s.connect()
		return s, nil
	}
}

func (s *syslog) connect() error {
	fd, err := connectUnix(syslogSocket, unix.SOCK_DGRAM)
	if err == nil {
		s.close()
		s.fd = fd
		if s.catches.Load() {
			s.catchCrashes()
		}
	}
	return err
}

// connectUnix does not wait: a log daemon that hangs accepts no connection.
func connectUnix(path string, kind int) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// write sends the lines without their time, which the log daemon adds itself.
func (s *syslog) write(lines []byte) error {
	for line := range bytes.Lines(lines) {
		_, text, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		if err := s.send(fmt.Appendf(nil, "<%d>%s", syslogInfo, text)); err != nil {
			return err
		}
	}
	return nil
}

// send reconnects to a restarted log daemon, as syslog(3) does.
func (s *syslog) send(message []byte) error {
	if s.fd < 0 {
		if err := s.connect(); err != nil {
			return err
		}
	}
	_, err := unix.Write(s.fd, message)
	if err == unix.ECONNREFUSED || err == unix.ENOTCONN {
		if err = s.connect(); err == nil {
			_, err = unix.Write(s.fd, message)
		}
	}
	return err
}

// catchCrashes connects to the journal, which joins the pieces that the runtime writes into lines. Other log daemons
// take only datagrams, and get the pieces.
func (s *syslog) catchCrashes() error {
	s.catches.Store(true)
	f := s.openForCrashes()
	if f == nil {
		return debug.SetCrashOutput(nil, debug.CrashOptions{})
	}
	defer f.Close() // the runtime has its own descriptor
	return setCrashOutput(f)
}

func (s *syslog) openForCrashes() *os.File {
	if fd, err := connectUnix(journalSocket, unix.SOCK_STREAM); err == nil {
		// Identifier, unit, priority, level prefix, and other destinations: the header of sd_journal_stream_fd(3).
		unix.Write(fd, fmt.Appendf(nil, "%s\n\n%d\n0\n0\n0\n0\n", s.program, syslogCritical))
		return os.NewFile(uintptr(fd), journalSocket)
	}
	if fd, err := connectUnix(syslogSocket, unix.SOCK_DGRAM); err == nil {
		return os.NewFile(uintptr(fd), syslogSocket)
	}
	return nil
}

func (s *syslog) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}
