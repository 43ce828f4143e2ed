package log

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Stderr is the log of a program in the foreground. Without a reader, lines are lost: SIGPIPE, which os/signal lets
// through for descriptors 1 and 2, must not end the program.
func Stderr() (Sink, error) {
	signal.Ignore(unix.SIGPIPE)
	return stderr{}, nil
}

type stderr struct{}

func (stderr) write(lines []byte) error { _, err := os.Stderr.Write(lines); return err }
func (stderr) catchCrashes() error      { return debug.SetCrashOutput(nil, debug.CrashOptions{}) }
func (stderr) close()                   {}

type file struct {
	*os.File
	fd int
}

// write drops what a FIFO has no room for.
func (f file) write(lines []byte) error {
	n, err := unix.Write(f.fd, lines)
	if err == nil && n < len(lines) {
		err = io.ErrShortWrite
	}
	return err
}

func (f file) catchCrashes() error { return setCrashOutput(f.File) }
func (f file) close()              { f.Close() }

// setCrashOutput leaves the file O_NONBLOCK, which File.Fd would clear: a log that hangs must not keep a crash from
// ending.
func setCrashOutput(f *os.File) error {
	err := debug.SetCrashOutput(f, debug.CrashOptions{})
	unix.SetNonblock(int(f.Fd()), true)
	return err
}

// File returns a function that opens the log file, with the process's privileges at that time. A file that root makes
// is given to user uid and group gid, which the daemon will become.
//
// An existing file must be this user's or uid's, with one link: through a symbolic or hard link somebody could have
// root write into another file. A device is taken as it is.
func File(path string, uid, gid int) func() (Sink, error) {
	return func() (Sink, error) {
		fd, err := openFile(path, uid, gid)
		if err != nil {
			return nil, fmt.Errorf("log %q: %w", path, err)
		}
		return file{os.NewFile(uintptr(fd), path), fd}, nil
	}
}

func openFile(path string, uid, gid int) (fd int, err error) {
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_NOFOLLOW | unix.O_NOCTTY | unix.O_CLOEXEC | unix.O_NONBLOCK
	us := unix.Geteuid()
	fd, err = unix.Open(path, flags|unix.O_CREAT|unix.O_EXCL, 0o640)
	switch {
	case err == nil && us == 0:
		if err = unix.Fchown(fd, uid, gid); err != nil {
			unix.Unlink(path)
			unix.Close(fd)
			return -1, fmt.Errorf("change owner to user %d, group %d: %w", uid, gid, err)
		}
	case err == unix.EEXIST:
		fd, err = unix.Open(path, flags, 0)
		if err == unix.ENOENT { // log rotation has renamed it meanwhile
			return openFile(path, uid, gid)
		}
	}
	if err == unix.ELOOP {
		return -1, fmt.Errorf("is a symbolic link: %w", err)
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	kind := st.Mode & unix.S_IFMT
	switch {
	case err != nil || kind == unix.S_IFCHR:
	case int(st.Uid) != us && int(st.Uid) != uid:
		err = fmt.Errorf("belongs to user %d, not to %d: %w", st.Uid, us, os.ErrPermission)
	case kind == unix.S_IFREG && st.Nlink != 1:
		err = fmt.Errorf("has %d links, another file could be written to", st.Nlink)
	}
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}
