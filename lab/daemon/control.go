package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/pidfd"
	"daemonlab/lab/procfs"
)

// Running returns the PID of the daemon that holds the PID file, 0 if none does. The file must be root's or this user's
// own, since a stranger may have written any PID into theirs, and the process that it names must hold the lock: a stale
// PID may be anybody's by now.
//
// A 0 is certain: the lock was free. Running finds out by taking a shared lock for an instant; a daemon that starts
// then retries (see LockPIDFile), and a running one is not disturbed.
func Running(path string) (int, error) {
	err := retry(func() error {
		p, err := openPIDFile(path, unix.O_RDONLY)
		if err != nil {
			return err
		}
		defer p.file.Close()
		return p.lock(unix.LOCK_SH)
	})
	var running *RunningError
	switch {
	case errors.As(err, &running):
		return running.PID, nil
	case errors.Is(err, unix.ENOENT):
		return 0, nil
	}
	return 0, err
}

// holder is called when another process has the lock. It returns a [*RunningError] if the file names that process.
// Anybody who may read the file may lock it, so the error for any other process names it.
func (p *PIDFile) holder() error {
	_, pid, err := p.read()
	if err != nil {
		return err
	}
	id, err := p.id()
	if err != nil {
		return err
	}
	// The kernel returns /proc/locks in pieces, and it changes between them: a line in it is true, a missing one proves
	// nothing.
	locks, err := procfs.New("/proc").Locks()
	if err != nil {
		return err
	}
	err = errUnnamed
	for _, l := range locks {
		if l.File != id || l.Kind != "FLOCK" || l.Waiting {
			continue
		}
		if l.PID == pid && l.Access == "WRITE" {
			return &RunningError{Path: p.path, PID: pid}
		}
		err = fmt.Errorf("%w, PID %d", errUnnamed, l.PID)
	}
	return p.errorf("flock", err)
}

// id returns device and inode as /proc/locks has them. On btrfs and overlayfs its device is not stat(2)'s, so ask the
// kernel: fdinfo shows a record lock of our own in the same form, which does not conflict with those of flock(2). On
// NFS it does and is refused, but there stat(2) is right.
func (p *PIDFile) id() (procfs.FileID, error) {
	unix.FcntlFlock(p.file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Start: math.MaxInt64, Len: 1})
	d, err := procfs.New("/proc").Process(os.Getpid()).Descriptor(p.fd())
	if len(d.Locks) > 0 {
		return d.Locks[0].File, nil
	}
	return d.ID, err
}

// ErrNotRunning is returned by [Stop] when no daemon holds the PID file.
var ErrNotRunning = errors.New("not running")

// Stop sends SIGTERM to the daemon that holds the PID file, continues it if it is stopped, and waits until it has ended
// or ctx is done. It returns the daemon's PID.
func Stop(ctx context.Context, path string) (int, error) {
	pid, err := Running(path)
	if err != nil {
		return 0, err
	}
	if pid == 0 {
		return 0, ErrNotRunning
	}
	// The descriptor keeps naming this process; the PID could be another's once the daemon has ended.
	process, err := pidfd.Open(pid)
	if err != nil {
		return pid, err
	}
	defer process.Close()
	if again, err := Running(path); err != nil || again != pid {
		return pid, cmp.Or(err, ErrNotRunning)
	}
	begin := time.Now()
	if err := process.Signal(unix.SIGTERM); err != nil {
		return pid, err
	}
	process.Signal(unix.SIGCONT) // a stopped process acts on no other signal; an error means that it has ended
	err = process.Wait(ctx)
	if err != nil && ctx.Err() != nil {
		return pid, fmt.Errorf("PID %d has not ended within %v of SIGTERM", pid, time.Since(begin).Round(time.Second))
	}
	return pid, err
}
