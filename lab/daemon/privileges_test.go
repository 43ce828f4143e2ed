package daemon_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
	"daemonlab/lab/procfs"
)

var account = daemon.Account{Name: "somebody", UID: 4711, GID: 4712}

func TestBecomeSaysThatThereIsNoSuchID(t *testing.T) {
	if isRerun() {
		err := account.Become()
		if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "no such ID in this user namespace") {
			t.Errorf("got %v", err)
		}
		return
	}
	for _, setgroups := range []bool{false, os.Geteuid() == 0} {
		rerun(t, &syscall.SysProcAttr{
			Cloneflags:                 unix.CLONE_NEWUSER,
			UidMappings:                []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
			GidMappings:                []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
			GidMappingsEnableSetgroups: setgroups,
		})
	}
}

func onlyRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
}

func TestBecomeNeedsRoomForSignals(t *testing.T) {
	onlyRoot(t)
	if !alone(t, nil) {
		return
	}
	must(t, unix.Setrlimit(unix.RLIMIT_SIGPENDING, &unix.Rlimit{Cur: 1, Max: 1}))
	if err := account.Become(); err == nil || !strings.Contains(err.Error(), "RLIMIT_SIGPENDING") {
		t.Errorf("got %v", err)
	}
}

// Threads that start and end while the account changes have no more privileges than others.
func TestBecomeInEveryThread(t *testing.T) {
	onlyRoot(t)
	if !alone(t, nil) {
		return
	}
	var done atomic.Bool
	var threads sync.WaitGroup
	for range 4 {
		threads.Go(func() {
			for !done.Load() {
				var one sync.WaitGroup
				one.Go(runtime.LockOSThread) // the thread ends with the goroutine
				one.Wait()
			}
		})
	}
	must(t, account.Become())
	for range rounds(100) {
		tasks, err := procfs.New("/proc").Process(os.Getpid()).Tasks()
		must(t, err)
		for _, task := range tasks {
			if !task.Uid.All(account.UID) || !task.Gid.All(account.GID) || len(task.Groups) > 0 || task.CapPrm != 0 {
				t.Errorf("thread %d: UIDs %v, GIDs %v, groups %v, capabilities %v", task.Pid, task.Uid, task.Gid, task.Groups,
					task.CapPrm)
			}
		}
	}
	done.Store(true)
	threads.Wait()
}

// The account owns neither the files nor their directory, which it cannot even enter.
func TestAbandonWithoutPrivileges(t *testing.T) {
	onlyRoot(t)
	const variable = "DAEMON_TEST_DIR"
	if !isRerun() {
		dir := t.TempDir()
		t.Setenv(variable, dir)
		must(t, os.WriteFile(filepath.Join(dir, "stale"), []byte("999999999\n"), 0o644))
		rerun(t, nil)
		mustHold(t, filepath.Join(dir, "stale"), "999999999\n", 0o644)
		mustHold(t, filepath.Join(dir, "made"), "", 0o644)
		return
	}
	stale, err := daemon.LockPIDFile(filepath.Join(os.Getenv(variable), "stale"))
	must(t, err)
	made, err := daemon.LockPIDFile(filepath.Join(os.Getenv(variable), "made"))
	must(t, err)
	must(t, account.Become())
	must(t, errors.Join(stale.Abandon(), made.Abandon()))
}
