package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

//lab:begin

const (
	// pidFileMode lets everybody read whom to signal.
	pidFileMode = 0o644
	// O_NONBLOCK is for a FIFO in the file's place, which would stop the open.
	pidFileFlags = unix.O_RDWR | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
)

//lab:end

// PIDFile is a locked PID file: while it is held no second instance can start. The kernel gives the lock up when the
// process ends, however it ends, so a file that is left behind stops nobody.
type PIDFile struct {
	path    string
	file    *os.File
	created bool
}

// RunningError says that another process holds the PID file.
type RunningError struct {
	Path string
	PID  int
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("already running as PID %d (%s)", e.PID, e.Path)
}

//lab:begin

// errReplaced means that the file was unlinked or replaced between open and lock; the lock is on nobody's PID file.
var errReplaced = errors.New("PID file was replaced")

//lab:end

// LockPIDFile opens or makes the PID file, locks it and writes the process's PID and a newline into it. It refuses
// whatever is not a regular file with one link of this user's own: a symbolic link there could have a daemon of root's
// overwrite any file. It must run in the daemon, not in an ancestor, since the lock belongs to whom it names.
// Of several processes that try at once one gets it; the others get a [*RunningError] with its PID.
func LockPIDFile(path string) (*PIDFile, error) {
	//lab:begin pidfile instance
	//lab:instead return &PIDFile{path: path}, nil
	// Between its lock and its PID in the file the winner is not known by name yet, and a file that a daemon has
	// given up may be unlinked under us: both pass by themselves.
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		p, err := tryLockPIDFile(path)
		if err == nil || !errors.Is(err, errReplaced) && !errors.Is(err, unix.EWOULDBLOCK) {
			return p, err
		}
		if pid, err := Running(path); err == nil && pid != 0 {
			return nil, &RunningError{Path: path, PID: pid}
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("PID file %s: locked by a process whose PID it does not hold", path)
		}
	}
	//lab:end
}

//lab:begin

func tryLockPIDFile(path string) (_ *PIDFile, err error) {
	p := &PIDFile{path: path}
	if err := p.open(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.file.Close()
		}
	}()
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := unix.Flock(p.fd(), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, p.errorf("flock", err)
	}
	// A name that leads to another file by now is another instance's, which may be locked as rightfully as this one.
	if !p.isAtPath() {
		return nil, errReplaced
	}
	return p, p.write()
}

func (p *PIDFile) open() error {
	fd, err := unix.Open(p.path, pidFileFlags|unix.O_CREAT|unix.O_EXCL, pidFileMode)
	p.created = err == nil
	if err == unix.EEXIST {
		fd, err = unix.Open(p.path, pidFileFlags, 0)
	}
	switch err {
	case nil:
		p.file = os.NewFile(uintptr(fd), p.path)
		return nil
	case unix.ENOENT:
		if _, err := os.Stat(filepath.Dir(p.path)); err == nil {
			return errReplaced // unlinked between the two calls
		}
	case unix.ELOOP:
		return fmt.Errorf("PID file %s: is a symbolic link: %w", p.path, err)
	}
	return p.errorf("open", err)
}

// check refuses a file that is not a PID file of ours; see LockPIDFile.
func (p *PIDFile) check() error {
	st, err := p.stat()
	switch {
	case err != nil:
		return p.errorf("fstat", err)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("PID file %s: is not a regular file", p.path)
	case st.Nlink == 0:
		return errReplaced
	case st.Nlink > 1:
		return fmt.Errorf("PID file %s: has %d links, another file could be overwritten", p.path, st.Nlink)
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("PID file %s: belongs to user %d, not to %d", p.path, st.Uid, os.Geteuid())
	}
	return nil
}

// write puts the PID over what was there, then cuts the rest, so that no reader ever finds the file empty.
func (p *PIDFile) write() error {
	line := strconv.Itoa(os.Getpid()) + "\n"
	if err := unix.Fchmod(p.fd(), pidFileMode); err != nil {
		return p.errorf("fchmod", err)
	}
	if _, err := p.file.WriteAt([]byte(line), 0); err != nil {
		p.Remove()
		return p.errorf("write", errors.Unwrap(err))
	}
	if err := unix.Ftruncate(p.fd(), int64(len(line))); err != nil {
		return p.errorf("ftruncate", err)
	}
	return nil
}

//lab:end

// Created tells whether the file is new; otherwise an earlier instance had left it.
func (p *PIDFile) Created() bool {
	return p.created
}

// Remove unlinks the file, or empties it where its directory does not let this user remove anything. The lock stays
// until the process ends, so that no successor starts beside a daemon that is still ending.
func (p *PIDFile) Remove() error {
	//lab:begin sigterm
	//lab:instead return nil
	if !p.isAtPath() {
		return nil
	}
	if err := unix.Unlink(p.path); err == nil {
		return nil
	}
	if err := unix.Ftruncate(p.fd(), 0); err != nil {
		return p.errorf("ftruncate", err)
	}
	return nil
	//lab:end
}

//lab:begin

// isAtPath compares inodes: without this, unlinking and starting at the same time gives two holders of one name.
func (p *PIDFile) isAtPath() bool {
	var at unix.Stat_t
	if err := unix.Lstat(p.path, &at); err != nil {
		return false
	}
	st, err := p.stat()
	return err == nil && st.Dev == at.Dev && st.Ino == at.Ino
}

func (p *PIDFile) stat() (st unix.Stat_t, err error) {
	err = unix.Fstat(p.fd(), &st)
	return st, err
}

func (p *PIDFile) fd() int {
	return int(p.file.Fd())
}

func (p *PIDFile) errorf(call string, err error) error {
	return fmt.Errorf("PID file %s: %s: %w", p.path, call, err)
}

//lab:end

// RemoveStalePIDFile unlinks the PID file of a daemon that has ended. One that is locked, and what is not a PID file of
// this user's, stays.
func RemoveStalePIDFile(path string) {
	//lab:begin failure
	fd, err := unix.Open(path, pidFileFlags, 0)
	if err != nil {
		return
	}
	p := &PIDFile{path: path, file: os.NewFile(uintptr(fd), path)}
	defer p.file.Close()
	if p.check() == nil && unix.Flock(p.fd(), unix.LOCK_EX|unix.LOCK_NB) == nil {
		p.Remove()
	}
	//lab:end
}

func parsePID(content []byte) int {
	pid, err := strconv.Atoi(strings.TrimSuffix(string(content), "\n"))
	if err != nil || pid < 1 {
		return 0
	}
	return pid
}
