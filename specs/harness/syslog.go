package harness

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Syslog is the suite playing the log daemon behind /dev/log, in a mount namespace of its own.
type Syslog struct {
	conn *net.UnixConn
	dev  string
}

// devices are what a program may need in /dev.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// NewSyslog mounts a directory, which it makes, over /dev. It needs a mount namespace of its own, see [OwnNamespaces].
// The caller closes the log daemon.
func NewSyslog(dev string) (*Syslog, error) {
	socket := filepath.Join(dev, "log")
	if err := makeDir(dev, 0o755); err != nil {
		return nil, err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	s := &Syslog{conn, dev}
	err = os.Chmod(socket, 0o666)
	for _, name := range devices {
		node := filepath.Join(dev, name)
		err = errors.Join(err, os.WriteFile(node, nil, 0o600), bind("/dev/"+name, node))
	}
	if err = errors.Join(err, bind(dev, "/dev")); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func bind(from, to string) error {
	return os.NewSyscallError("mount "+to, unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""))
}

// Line waits for a line from any sender.
func (s *Syslog) Line(ctx context.Context) (string, error) {
	ctx, cancel := WithTimeout(ctx, Patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { s.conn.SetReadDeadline(time.Unix(1, 0)) })() // in the past
	line := make([]byte, 1024)
	n, err := s.conn.Read(line)
	return string(line[:n]), err
}

// Close unmounts it from /dev. Programs still running keep theirs.
func (s *Syslog) Close() {
	s.conn.Close()
	unix.Unmount("/dev", unix.MNT_DETACH)
	for _, name := range devices {
		unix.Unmount(filepath.Join(s.dev, name), unix.MNT_DETACH)
	}
}
