package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
	"daemonlab/lab/parts"
	"daemonlab/lab/pidfd"
	"daemonlab/lab/procfs"
)

// order is the configuration of a test's daemon: this test program, in its later stages.
type order struct {
	PIDFile string // to lock, if any
	Made    string // to claim
	Then    string // see end
	Crash   string // file for the text of a crash after readiness
	OnUSR1  string // what to do on SIGUSR1, see end
	Keyring string // file for the description of the session keyring
}

func TestMain(m *testing.M) {
	daemon.Continue(obey)
	parts.Play()
	// The tests adopt the daemons that they start.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// obey is the daemon of all tests. It lives until it is killed, unless Then says otherwise.
func obey(d *daemon.Daemon) error {
	var o order
	if err := d.Config(&o); err != nil {
		return err
	}
	if o.PIDFile != "" {
		if _, err := daemon.LockPIDFile(o.PIDFile); err != nil {
			return err
		}
	}
	if o.Made != "" {
		if err := d.Made(o.Made); err != nil {
			return err
		}
	}
	if o.Keyring != "" {
		keyring, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, unix.KEY_SPEC_SESSION_KEYRING)
		if err := errors.Join(err, os.WriteFile(o.Keyring, []byte(keyring), 0o644)); err != nil {
			return err
		}
	}
	if err := end(o.Then); err != nil {
		return err
	}
	var crash *os.File
	if o.Crash != "" {
		var err error
		if crash, err = os.Create(o.Crash); err != nil {
			return err
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGUSR1)
	if err := d.Ready(func() error { return debug.SetCrashOutput(crash, debug.CrashOptions{}) }); err != nil {
		return err
	}
	<-signals
	return end(o.OnUSR1)
}

// end ends the daemon in one of the ways in which programs end.
func end(how string) error {
	switch how {
	case "fail":
		return errors.New("cannot\nserve")
	case "panic":
		panic("a bug")
	case "fatal error":
		new(sync.Mutex).Unlock()
	case "die":
		unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	return nil
}

// start starts a daemon and returns its PID, 0 if there is none, and Start's error. It ends with the test.
func start(t *testing.T, o order) (int, error) {
	t.Helper()
	var unmade []string
	err := daemon.Start(daemon.Options{Config: o, Unmake: func(name string) { unmade = append(unmade, name) }})
	var want []string
	if o.Made != "" && err != nil {
		want = []string{o.Made}
	}
	if !slices.Equal(unmade, want) {
		t.Errorf("unmade %q, not %q, after %v", unmade, want, err)
	}
	pid := adopted(t, err)
	if pid != 0 {
		t.Cleanup(func() { kill(pid) })
	}
	return pid, err
}

func mustStart(t *testing.T, o order) (pid int) {
	t.Helper()
	pid, err := start(t, o)
	must(t, err)
	return pid
}

// adopted returns the PID of the daemon that exists after a start that ended with err.
func adopted(t *testing.T, err error) (pid int) {
	t.Helper()
	children, listErr := procfs.New("/proc").Children(os.Getpid())
	must(t, listErr)
	for _, c := range children {
		if c.State.Ended() || err != nil && endsSoon(t, c.Pid) {
			unix.Wait4(c.Pid, nil, 0, nil)
			continue
		}
		pid = c.Pid
	}
	return pid
}

// endsSoon waits for a process that is about to end: its end of the readiness pipe closes a moment before.
func endsSoon(t *testing.T, pid int) bool {
	t.Helper()
	process, err := pidfd.Open(pid)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer process.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return process.Wait(ctx) == nil
}

func kill(pid int) {
	unix.Kill(pid, unix.SIGKILL)
	unix.Wait4(pid, nil, 0, nil)
}

func TestStartSaysWhyThereIsNoDaemon(t *testing.T) {
	for then, want := range map[string]string{
		"fail":        "cannot; serve",
		"panic":       "the daemon died before it was ready: panic: a bug",
		"fatal error": "the daemon died before it was ready: fatal error: sync: unlock of unlocked mutex",
		"die":         "the daemon died before it was ready",
	} {
		t.Run(then, func(t *testing.T) {
			pid, err := start(t, order{Made: "queue:/q", Then: then})
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			if pid != 0 {
				t.Errorf("PID %d is left", pid)
			}
		})
	}
}

// One argument longer than execve(2) takes: 32 pages.
func TestStartSaysWhatFailedBetweenForkAndExec(t *testing.T) {
	args := os.Args
	defer func() { os.Args = args }()
	os.Args = append(args[:1:1], strings.Repeat("x", 32*os.Getpagesize()))
	pid, err := start(t, order{})
	if want := "execute /proc/self/exe: argument list too long"; !errors.Is(err, unix.E2BIG) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if pid != 0 {
		t.Errorf("PID %d is left", pid)
	}
}

func TestTheDaemonIsCleanAndNamed(t *testing.T) {
	t.Setenv("DAEMON_TEST_JUNK", "1")
	t.Setenv("GORACE", "halt_on_error=0")
	pid := mustStart(t, order{})
	process := procfs.New("/proc").Process(pid)
	st, err := process.Status()
	must(t, err)
	if st.SigBlk != 0 || st.SigIgn != 0 || st.Umask != 0 || st.PPid != os.Getpid() {
		t.Errorf("blocked %v, ignored %v, umask %o, parent %d", st.SigBlk, st.SigIgn, st.Umask, st.PPid)
	}
	if want := filepath.Base(os.Args[0]); st.Name != want[:min(15, len(want))] {
		t.Errorf("it is called %s, not %s", st.Name, want)
	}
	env, err := process.Environ()
	must(t, err)
	if slices.Contains(env, "DAEMON_TEST_JUNK=1") || slices.Contains(env, "GORACE=halt_on_error=0") != raceDetector() {
		t.Errorf("environment %q, race detector %t", env, raceDetector())
	}
}

// raceDetector reports whether this program is built with the race detector.
func raceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func TestNamesArriveByteForByte(t *testing.T) {
	name := "a\xff\xc3\nerror \t'\"\nready\nmade \"b\""
	t.Run("made", func(t *testing.T) {
		if _, err := start(t, order{Made: name, Then: "fail"}); err == nil || err.Error() != "cannot; serve" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("configured", func(t *testing.T) {
		pidFile := filepath.Join(t.TempDir(), name)
		pid := mustStart(t, order{PIDFile: pidFile})
		if content, err := os.ReadFile(pidFile); err != nil || string(content) != fmt.Sprintln(pid) {
			t.Errorf("the PID file holds %q, %v; the daemon is PID %d", content, err, pid)
		}
	})
}

func TestUnmakeFindsLocksReleased(t *testing.T) {
	for range 20 {
		pidFile := filepath.Join(t.TempDir(), "pid")
		err := daemon.Start(daemon.Options{
			Config: order{PIDFile: pidFile, Made: pidFile, Then: "fail"},
			Unmake: daemon.RemoveStalePIDFile,
		})
		adopted(t, err)
		if _, statErr := os.Stat(pidFile); !errors.Is(statErr, os.ErrNotExist) {
			t.Errorf("%v; the PID file is there: %v", err, statErr)
		}
	}
}

func TestRootsDaemonLeavesTheSessionKeyring(t *testing.T) {
	runtime.LockOSThread() // keyrings are per thread, and the thread ends with the test
	if _, err := unix.KeyctlJoinSessionKeyring("daemon-test"); err != nil {
		t.Skip("keyctl KEYCTL_JOIN_SESSION_KEYRING:", err)
	}
	file := filepath.Join(t.TempDir(), "keyring")
	mustStart(t, order{Keyring: file})
	keyring, err := os.ReadFile(file)
	must(t, err)
	if kept := strings.HasSuffix(string(keyring), ";daemon-test"); kept != (os.Geteuid() != 0) {
		t.Errorf("started by user %d, the daemon has the session keyring %q", os.Geteuid(), keyring)
	}
}

func TestNoAccountIsMadeUp(t *testing.T) {
	if a, err := daemon.LookupAccount("root"); err != nil || a.UID != 0 || a.GID != 0 {
		t.Errorf("root: %+v, %v", a, err)
	}
	if a, err := daemon.LookupAccount("no-such-account"); err == nil {
		t.Errorf("no-such-account: %+v", a)
	}
}

func TestACrashAfterReadinessLeavesItsTextAndStack(t *testing.T) {
	for _, c := range []struct {
		signal unix.Signal
		onUSR1 string
		want   []string
	}{
		{unix.SIGUSR1, "panic", []string{"panic: a bug\n", "daemon_test.obey("}},
		{unix.SIGUSR1, "fatal error", []string{"sync.(*Mutex).Unlock(", "daemon_test.obey("}},
		{unix.SIGSEGV, "", []string{"SIGSEGV: segmentation violation\n", "\ngoroutine "}},
	} {
		t.Run(c.signal.String()+c.onUSR1, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "crash")
			pid := mustStart(t, order{Crash: file, OnUSR1: c.onUSR1})
			process, err := pidfd.Open(pid)
			must(t, err)
			defer process.Close()
			must(t, process.Signal(c.signal))
			must(t, process.Wait(t.Context()))
			text, err := os.ReadFile(file)
			must(t, err)
			for _, part := range c.want {
				if !strings.Contains(string(text), part) {
					t.Errorf("%q is not in the text of the crash:\n%s", part, text)
				}
			}
		})
	}
}
