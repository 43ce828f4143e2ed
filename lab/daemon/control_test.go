package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
	"daemonlab/lab/procfs"
)

// lock holds the lock on a file, as its creator could.
func lock(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { file.Close() })
	must(t, unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB))
}

func TestRunningDistrustsOtherUsersFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := filepath.Join(t.TempDir(), "pid\nfile")
	must(t, os.WriteFile(path, fmt.Appendln(nil, os.Getpid()), 0o644))
	must(t, os.Chown(path, 1, 1))
	lock(t, path)
	pid, err := daemon.Running(path)
	mustBeOneLine(t, err, path)
	if pid != 0 {
		t.Errorf("PID %d", pid)
	}
}

// ownMounts gives a process mounts of its own.
func ownMounts() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

func mount(t *testing.T, kind, name, options string) string {
	t.Helper()
	// An ordinary user's user namespace can be without capabilities, as with AppArmor on Ubuntu.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	dir := filepath.Join(t.TempDir(), name)
	must(t, os.Mkdir(dir, 0o755))
	if err := unix.Mount(kind, dir, kind, 0, options); err != nil {
		t.Skipf("cannot mount %s: %v", kind, err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// Files on two file systems can have the same inode number.
func TestRunningComparesDevices(t *testing.T) {
	t.Parallel() // it waits
	if !alone(t, ownMounts()) {
		return
	}
	path, other := filepath.Join(mount(t, "tmpfs", "a", ""), "pid"), filepath.Join(mount(t, "tmpfs", "b", ""), "pid")
	stranger := mustStart(t, order{PIDFile: other})
	must(t, os.WriteFile(path, fmt.Appendln(nil, stranger), 0o644))
	var st, otherSt unix.Stat_t
	must(t, errors.Join(unix.Stat(path, &st), unix.Stat(other, &otherSt)))
	if st.Ino != otherSt.Ino {
		t.Skipf("inodes %d and %d differ", st.Ino, otherSt.Ino)
	}
	if pid, err := daemon.Running(path); pid != 0 || err != nil {
		t.Errorf("the file is not locked: got PID %d, %v", pid, err)
	}
	lock(t, path)
	if pid, err := daemon.Running(path); pid != 0 || err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the file is locked by another process than it names: got PID %d, %v", pid, err)
	}
}

// There /proc/locks has another device than stat(2), as on btrfs.
func TestRunningOnOverlayfs(t *testing.T) {
	if !alone(t, ownMounts()) {
		return
	}
	upper := mount(t, "tmpfs", "upper", "")
	for _, dir := range []string{"upper", "work"} {
		must(t, os.Mkdir(filepath.Join(upper, dir), 0o755))
	}
	path := filepath.Join(mount(t, "overlay", "merged",
		fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%[2]s/work", t.TempDir(), upper)), "pid")
	want := mustStart(t, order{PIDFile: path})
	if pid, err := daemon.Running(path); pid != want || err != nil {
		t.Errorf("got PID %d, %v; the daemon is PID %d", pid, err, want)
	}
}

// churn takes and releases locks of other files until stop is called, so that /proc/locks changes while it is read.
func churn(t *testing.T) (stop func()) {
	t.Helper()
	const goroutines, files = 4, 100
	var done atomic.Bool
	var wg sync.WaitGroup
	for range goroutines {
		var fds [files]int
		for i := range fds {
			fd, err := unix.Open(t.TempDir(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			must(t, err)
			fds[i] = fd
		}
		wg.Go(func() {
			for i := 0; !done.Load(); i++ {
				how := unix.LOCK_EX
				if i/files%2 == 1 {
					how = unix.LOCK_UN
				}
				unix.Flock(fds[i%files], how)
			}
			for _, fd := range fds {
				unix.Close(fd)
			}
		})
	}
	return func() {
		done.Store(true)
		wg.Wait()
	}
}

func TestRunningIsCertain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	daemonPID := mustStart(t, order{PIDFile: path})
	unlocked := path + "-stale"
	must(t, os.WriteFile(unlocked, fmt.Appendln(nil, daemonPID), 0o644))
	defer churn(t)()
	answers, wrong := 0, 0
	for range rounds(300) { // torn reads of /proc/locks made 3 answers of 202 wrong
		answers += 2
		if pid, err := daemon.Running(path); pid != daemonPID || err != nil {
			wrong++
		}
		if pid, err := daemon.Running(unlocked); pid != 0 || err != nil {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d answers were wrong", wrong, answers)
	}
}

// A starting daemon meets the locks of those who ask.
func TestRunningDisturbsNoStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	must(t, os.WriteFile(path, fmt.Appendln(nil, os.Getpid()), 0o644)) // alive, and holds no lock
	var done atomic.Bool
	var asking sync.WaitGroup
	asking.Go(func() { // several could hold the lock in turn for longer than a start retries
		for !done.Load() {
			if pid, err := daemon.Running(path); pid == os.Getpid() || err != nil {
				t.Errorf("got PID %d, %v", pid, err)
			}
		}
	})
	defer func() {
		done.Store(true)
		asking.Wait()
	}()
	for range rounds(20) {
		pid := mustStart(t, order{PIDFile: path})
		if got, err := daemon.Running(path); got != pid || err != nil {
			t.Errorf("got PID %d, %v; the daemon is PID %d", got, err, pid)
		}
		kill(pid)
	}
}

func TestStopWaitsForTheEndOfAStoppedDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	pid := mustStart(t, order{PIDFile: path})
	must(t, unix.Kill(pid, unix.SIGSTOP))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if stopped, err := daemon.Stop(ctx, path); stopped != pid || err != nil {
		t.Errorf("stopped PID %d, %v; the daemon was PID %d", stopped, err, pid)
	}
	if ended, err := procfs.New("/proc").Process(pid).Ended(); !ended || err != nil {
		t.Errorf("PID %d still runs, %v", pid, err)
	}
	if again, err := daemon.Stop(ctx, path); !errors.Is(err, daemon.ErrNotRunning) {
		t.Errorf("stopped again: PID %d, %v", again, err)
	}
}

func TestStopSaysThatADaemonHasNotEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	pid := mustStart(t, order{PIDFile: path})
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	_, err := daemon.Stop(ctx, path)
	if want := fmt.Sprintf("PID %d has not ended within 0s of SIGTERM", pid); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
