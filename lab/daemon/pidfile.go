package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

//lab:begin

const (
	// pidFileMode lets everybody read which process to signal.
	pidFileMode = 0o644
	// O_NONBLOCK: a FIFO in the file's place would block the open.
	pidFileFlags = unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	// maxPIDFile is the most that a PID file can hold, in bytes. A longer file is something else.
	maxPIDFile = 32
)

//lab:end

// PIDFile is a locked PID file: while it is held no second instance can start. The kernel releases the lock when the
// process ends, however it ends, so a file left behind stops nobody.
type PIDFile struct {
	path    string
	file    *os.File
	created bool
	stale   []byte // what an earlier instance left in it
	mode    uint32 // of that file, permission bits
}

// RunningError says that another process holds the PID file.
type RunningError struct {
	Path string
	PID  int
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("already running as PID %d (%q)", e.PID, e.Path)
}

//lab:begin

// retry waits for these to pass.
var (
	errReplaced = errors.New("unlinked or replaced between open and lock")
	errUnnamed  = errors.New("locked by a process other than the one it names")
)

//lab:end

// LockPIDFile opens or makes the PID file, locks it and writes the process's PID and a newline into it. It must run in
// the daemon, not in an ancestor: the file names the owner of the lock.
//
// It refuses, and leaves alone, anything but a regular file with one link, owned by root or this user, that is empty or
// holds a PID: through a symbolic link or a wrong name root's daemon could be made to overwrite any file.
//
// If several processes try at once one gets the lock; the others get a [*RunningError] with its PID.
func LockPIDFile(path string) (p *PIDFile, err error) {
	//lab:begin pidfile instance
	//lab:instead return &PIDFile{path: path}, nil
	err = retry(func() error {
		p, err = tryLockPIDFile(path)
		return err
	})
	return p, err
	//lab:end
}

//lab:begin

// retry repeats try while the file is being replaced, or while its holder has the lock but has not yet written its PID.
func retry(try func() error) error {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		err := try()
		if !errors.Is(err, errReplaced) && !errors.Is(err, errUnnamed) || time.Now().After(deadline) {
			return err
		}
	}
}

func tryLockPIDFile(path string) (*PIDFile, error) {
	p, err := openPIDFile(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return nil, err
	}
	if err = p.lock(unix.LOCK_EX); err == nil {
		err = p.write()
	}
	if err != nil {
		p.Abandon()
		p.file.Close()
		return nil, err
	}
	return p, nil
}

// openPIDFile opens the file, first trying to make it if flags have O_CREAT|O_EXCL.
func openPIDFile(path string, flags int) (*PIDFile, error) {
	p := &PIDFile{path: path}
	fd, err := unix.Open(path, flags|pidFileFlags, pidFileMode)
	p.created = err == nil && flags&unix.O_CREAT != 0
	if err == unix.EEXIST {
		if fd, err = unix.Open(path, unix.O_RDWR|pidFileFlags, 0); err == unix.ENOENT {
			err = errReplaced
		}
	}
	if err == unix.ELOOP {
		return nil, p.errorf("is a symbolic link", err)
	}
	if err != nil {
		return nil, p.errorf("open", err)
	}
	p.file = os.NewFile(uintptr(fd), path)
	return p, nil
}

// lock takes a flock(2) lock without waiting. If another process has it, the error is holder's.
func (p *PIDFile) lock(how int) error {
	if err := p.check(); err != nil {
		return err
	}
	err := unix.Flock(p.fd(), how|unix.LOCK_NB)
	switch {
	case err == unix.EWOULDBLOCK:
		p.created = false // by a rival's lock it has become the rival's
		return p.holder()
	case err != nil:
		return p.errorf("flock", err)
	case !p.isAtPath():
		// The name now leads to another file, which another instance may legitimately hold.
		return p.errorf("flock", errReplaced)
	}
	return nil
}

// check refuses a file that cannot be our PID file; see LockPIDFile and Running.
func (p *PIDFile) check() error {
	var st unix.Stat_t
	err := unix.Fstat(p.fd(), &st)
	p.mode = st.Mode &^ unix.S_IFMT
	switch {
	case err != nil:
		return p.errorf("fstat", err)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("PID file %q: is not a regular file", p.path)
	case st.Nlink == 0:
		return p.errorf("fstat", errReplaced)
	case st.Nlink > 1:
		return fmt.Errorf("PID file %q: has %d links, another file could be overwritten", p.path, st.Nlink)
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("PID file %q: belongs to user %d, neither to root nor to user %d", p.path, st.Uid, os.Geteuid())
	}
	return nil
}

// read returns the contents and the PID on the first line, 0 if the file is empty. More lines may follow: a daemon
// killed between the two calls of put leaves the end of a longer PID.
func (p *PIDFile) read() (content []byte, pid int, err error) {
	content = make([]byte, maxPIDFile+1)
	n, err := p.file.ReadAt(content, 0)
	if err != nil && err != io.EOF {
		return nil, 0, p.errorf("read", errors.Unwrap(err))
	}
	line, _, _ := strings.Cut(string(content[:n]), "\n")
	pid, _ = strconv.Atoi(line)
	if n > maxPIDFile || n > 0 && pid < 1 {
		return nil, 0, fmt.Errorf("PID file %q: holds something other than a PID", p.path)
	}
	return content[:n], pid, nil
}

func (p *PIDFile) write() (err error) {
	if p.stale, _, err = p.read(); err != nil {
		return err
	}
	// A rival that made the file but was too late to lock it leaves it empty, as does Remove if it cannot unlink.
	p.created = p.created || len(p.stale) == 0
	if err := unix.Fchmod(p.fd(), pidFileMode); err != nil {
		return p.errorf("fchmod", err)
	}
	return p.put(fmt.Appendln(nil, os.Getpid()))
}

// put overwrites the old contents, then cuts the rest, so that no reader ever finds the file empty.
func (p *PIDFile) put(content []byte) error {
	if _, err := p.file.WriteAt(content, 0); err != nil {
		return p.errorf("write", errors.Unwrap(err))
	}
	if err := unix.Ftruncate(p.fd(), int64(len(content))); err != nil {
		return p.errorf("ftruncate", err)
	}
	return nil
}

//lab:end

// Created reports whether the file is new, or was empty; if not, an earlier instance left it.
func (p *PIDFile) Created() bool {
	return p.created
}

// Abandon undoes LockPIDFile in a start that fails later: a new file is removed, one that an earlier instance left gets
// its old contents back. The lock stays until the process ends.
func (p *PIDFile) Abandon() error {
	//lab:begin failure: undo
	//lab:instead return nil
	if p.created {
		return p.Remove()
	}
	if p.stale == nil {
		return nil // nothing was written
	}
	unix.Fchmod(p.fd(), p.mode) // refused once privileges are given up
	return p.put(p.stale)
	//lab:end
}

// Remove unlinks the file at the end of a daemon's life, or empties it if this user may not remove files from its
// directory. The lock stays until the process ends, but a successor may start as soon as the name is free.
func (p *PIDFile) Remove() error {
	//lab:begin sigterm
	//lab:instead return nil
	if p.isAtPath() && unix.Unlink(p.path) == nil {
		return nil
	}
	if err := unix.Ftruncate(p.fd(), 0); err != nil {
		return p.errorf("ftruncate", err)
	}
	return nil
	//lab:end
}

//lab:begin

// isAtPath prevents two holders of one name, which an unlink and a start at the same time would make.
func (p *PIDFile) isAtPath() bool {
	at, _ := os.Lstat(p.path)
	st, _ := p.file.Stat()
	return os.SameFile(at, st) // not if either is nil
}

func (p *PIDFile) fd() int {
	return int(p.file.Fd())
}

func (p *PIDFile) errorf(call string, err error) error {
	return fmt.Errorf("PID file %q: %s: %w", p.path, call, err)
}

//lab:end

// RemoveStalePIDFile unlinks a PID file whose daemon has ended. A file that is locked, or that LockPIDFile would
// refuse, stays.
func RemoveStalePIDFile(path string) {
	//lab:begin failure: discard
	p, err := openPIDFile(path, unix.O_RDWR)
	if err != nil {
		return
	}
	defer p.file.Close()
	if p.lock(unix.LOCK_EX) != nil {
		return
	}
	if _, _, err := p.read(); err == nil {
		unix.Unlink(path)
	}
	//lab:end
}
