package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Holder is a server, played by the suite, that has locked its PID file and not written its PID yet.
type Holder struct {
	file *os.File
	path string
}

// HoldPIDFile makes a PID file that an earlier server left, and locks it by flock(2) and fcntl(2), as one program or the
// other does.
func HoldPIDFile(path string, stale int) (*Holder, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	h := &Holder{f, path}
	return h, errors.Join(f.Chmod(0o644), h.Write(stale), unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB),
		unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
}

// Write writes a PID and a newline.
func (h *Holder) Write(pid int) error {
	line := fmt.Appendln(nil, pid)
	_, err := h.file.WriteAt(line, 0)
	return errors.Join(err, h.file.Truncate(int64(len(line))))
}

// WaitForReader waits until another process has the file open, done is closed, or a program has had its time. One that
// opens it again and again is sooner or later met.
func (h *Holder) WaitForReader(ctx context.Context, done <-chan struct{}) {
	ctx, cancel := WithTimeout(ctx, Slack)
	defer cancel()
	for !h.isRead() {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Microsecond):
		}
	}
}

func (h *Holder) isRead() bool {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // of those processes that may be looked at
	return slices.ContainsFunc(fds, func(fd string) bool {
		target, err := os.Readlink(fd)
		return err == nil && target == h.path && !strings.HasPrefix(fd, proc.Process(os.Getpid()).Path("fd")+"/")
	})
}

// Close gives the locks up.
func (h *Holder) Close() {
	h.file.Close()
}
