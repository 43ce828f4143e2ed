package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The daemon reports to whoever connects to an abstract unix socket (unix(7)): it leaves no file behind however the
// daemon ends, needs no permission to be asked, and since nothing is read from it there is nothing to attack.
// /proc/PID/fd and ptrace(2) would not do: a process that has given up privileges is not dumpable.

// reportTimeout is how long --status waits for a daemon that is stopped or busy.
const reportTimeout = 2 * time.Second

// maxReport is more than a report has, in bytes.
const maxReport = 4096

// reportAddress is the socket's name, after the identity of the PID file, which no two daemons have in common.
func reportAddress(pidFile string) (*unix.SockaddrUnix, error) {
	var st unix.Stat_t
	if err := unix.Stat(pidFile, &st); err != nil {
		return nil, fmt.Errorf("PID file %s: %w", pidFile, err)
	}
	return &unix.SockaddrUnix{Name: fmt.Sprintf("@mqfiled-%x-%x", st.Dev, st.Ino)}, nil
}

// listenForStatus makes the socket, as whoever may look at the PID file.
func listenForStatus(pidFile string) (*os.File, error) {
	address, err := reportAddress(pidFile)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := errors.Join(unix.Bind(fd, address), unix.Listen(fd, 8)); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("status socket %s: %w", address.Name, err)
	}
	return os.NewFile(uintptr(fd), address.Name), nil
}

// answerStatus reports to one after the other, until the socket is closed.
func (s *server) answerStatus(socket *os.File) {
	conn, err := socket.SyscallConn()
	for err == nil {
		var asker int
		var acceptErr error
		err = conn.Read(func(fd uintptr) bool {
			asker, _, acceptErr = unix.Accept4(int(fd), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			return acceptErr != unix.EAGAIN
		})
		switch {
		case err != nil:
		case acceptErr == nil:
			unix.Send(asker, []byte(s.report()), unix.MSG_NOSIGNAL) // into an empty buffer: it does not wait
			unix.Close(asker)
		default: // no descriptor left, for example: whoever has connected goes on waiting
			time.Sleep(careTime)
		}
	}
}

// askForReport asks the daemon that is known to have this PID: anybody may have bound the name.
func askForReport(pidFile string, pid int) (string, error) {
	socket, err := connectToDaemon(pidFile)
	if err != nil {
		return "", err
	}
	defer socket.Close()
	peer, err := unix.GetsockoptUcred(int(socket.Fd()), unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return "", os.NewSyscallError("SO_PEERCRED", err)
	}
	if int(peer.Pid) != pid {
		return "", fmt.Errorf("status socket %s: belongs to PID %d", socket.Name(), peer.Pid)
	}
	report, err := io.ReadAll(io.LimitReader(socket, maxReport))
	if errors.Is(err, unix.EAGAIN) {
		err = fmt.Errorf("it does not answer within %v", reportTimeout)
	}
	return string(report), err
}

func connectToDaemon(pidFile string) (*os.File, error) {
	address, err := reportAddress(pidFile)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	limit := unix.NsecToTimeval(reportTimeout.Nanoseconds())
	err = errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit), // connect(2) heeds it
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit))
	if err == nil {
		err = unix.Connect(fd, address)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("status socket %s: %w", address.Name, err)
	}
	return os.NewFile(uintptr(fd), address.Name), nil
}
