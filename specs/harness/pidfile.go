package harness

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Holder is the suite playing a server that has locked its PID file but not yet written its PID.
type Holder struct {
	file   *os.File
	opened *os.File // of inotify(7)
}

// HoldPIDFile makes a PID file as an earlier server would leave it, and locks it with flock(2) and fcntl(2), as a
// program may use either.
func HoldPIDFile(path string, stale int) (*Holder, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		f.Close()
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	_, err = unix.InotifyAddWatch(fd, path, unix.IN_OPEN)
	h := &Holder{f, os.NewFile(uintptr(fd), "inotify")}
	return h, errors.Join(err, f.Chmod(0o644), h.Write(stale), unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB),
		unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
}

// Write writes a PID and a newline.
func (h *Holder) Write(pid int) error {
	line := fmt.Appendln(nil, pid)
	_, err := h.file.WriteAt(line, 0)
	return errors.Join(err, h.file.Truncate(int64(len(line))))
}

// WaitForReader waits until another process opens the file, done is closed, or [Slack] has passed.
func (h *Holder) WaitForReader(ctx context.Context, done <-chan struct{}) {
	ctx, cancel := WithTimeout(ctx, Slack)
	defer cancel()
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		h.opened.Read(make([]byte, unix.SizeofInotifyEvent))
	}()
	select {
	case <-opened:
	case <-done:
	case <-ctx.Done():
	}
}

// Close releases the locks.
func (h *Holder) Close() {
	h.opened.Close()
	h.file.Close()
}
