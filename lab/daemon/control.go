package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"daemonlab/lab/pidfd"
	"daemonlab/lab/procfs"
)

// Running returns the PID of the daemon that holds the PID file, 0 when none does. What the file says is believed only
// when that very process holds a lock on it: a stale file names a PID that may be anybody's by now. It takes no lock
// itself, which a daemon that starts at that moment would run into.
func Running(path string) (int, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	content := make([]byte, 32)
	n, err := file.ReadAt(content, 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	pid := parsePID(content[:n])
	if pid == 0 {
		return 0, nil
	}
	holds, err := holdsLock(pid, file)
	if err != nil || !holds {
		return 0, err
	}
	return pid, nil
}

// holdsLock looks for a write lock of the process on the file. Only inodes are compared: file systems without a
// device of their own (btrfs, overlayfs) show different ones in /proc/locks and stat(2).
func holdsLock(pid int, file *os.File) (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return false, fmt.Errorf("fstat %s: %w", file.Name(), err)
	}
	locks, err := procfs.New("/proc").Locks()
	if err != nil {
		return false, err
	}
	for _, lock := range locks {
		if lock.PID == pid && lock.File.Ino == st.Ino && lock.Access == "WRITE" && !lock.Waiting {
			return true, nil
		}
	}
	return false, nil
}

// ErrNotRunning is returned by [Stop] when no daemon holds the PID file.
var ErrNotRunning = errors.New("not running")

// Stop sends SIGTERM to the daemon that holds the PID file and waits until it has ended or ctx is done. It returns the
// daemon's PID.
func Stop(ctx context.Context, path string) (int, error) {
	pid, err := Running(path)
	if err != nil {
		return 0, err
	}
	if pid == 0 {
		return 0, ErrNotRunning
	}
	// The descriptor names one process for good; the PID could be another's once the daemon has ended.
	process, err := pidfd.Open(pid)
	if err != nil {
		return pid, err
	}
	defer process.Close()
	if again, err := Running(path); err != nil || again != pid {
		return pid, errors.Join(ErrNotRunning, err)
	}
	if err := process.Signal(unix.SIGTERM); err != nil {
		return pid, err
	}
	return pid, process.Wait(ctx)
}
