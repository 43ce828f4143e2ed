//lab:give

package main

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	syslogSocket  = "/dev/log"
	journalSocket = "/run/systemd/journal/stdout"
	// facility daemon (3), severities info (6) and critical (2), see syslog(3)
	syslogInfo     = 3<<3 | 6
	syslogCritical = 3<<3 | 2
)

// syslogSink sends each line as a datagram to the machine's log daemon, by a socket call rather than by log/syslog: that
// package needs net, and net needs cgo wherever a C compiler is found.
type syslogSink struct {
	fd int // -1: nobody has answered there yet
}

// openSyslog never fails: a log daemon may come up later.
func openSyslog() (sink, error) {
	s := &syslogSink{fd: -1}
	s.connect()
	return s, nil
}

func (s *syslogSink) connect() error {
	fd, err := connectUnix(syslogSocket, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK)
	if err == nil {
		s.close()
		s.fd = fd
	}
	return err
}

func connectUnix(path string, kind int) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// write sends the lines without the time that they begin with, which the log daemon adds itself.
func (s *syslogSink) write(lines []byte) error {
	for line := range bytes.Lines(lines) {
		_, text, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		if err := s.send(fmt.Appendf(nil, "<%d>%s", syslogInfo, text)); err != nil {
			return err
		}
	}
	return nil
}

// send connects again to a log daemon that was started anew, as syslog(3) does.
func (s *syslogSink) send(message []byte) error {
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

// crashFile is a stream to the journal, which makes lines of the pieces that the runtime writes. Other log daemons take
// datagrams alone, and get the pieces.
func (s *syslogSink) crashFile() *os.File {
	fd, err := connectUnix(journalSocket, unix.SOCK_STREAM)
	if err != nil {
		if fd, err = connectUnix(syslogSocket, unix.SOCK_DGRAM); err != nil {
			return nil
		}
		return os.NewFile(uintptr(fd), syslogSocket)
	}
	// Identifier, unit, priority, level prefix, and where else it goes: as sd_journal_stream_fd(3) begins.
	unix.Write(fd, fmt.Appendf(nil, "mqfiled\n\n%d\n0\n0\n0\n0\n", syslogCritical))
	return os.NewFile(uintptr(fd), journalSocket)
}

func (s *syslogSink) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}
