package daemon_test

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
)

func TestPIDFileIsRefused(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, path string){
		"symbolic link": func(t *testing.T, path string) { must(t, os.Symlink("elsewhere", path)) },
		"directory":     func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o755)) },
		"FIFO":          func(t *testing.T, path string) { must(t, unix.Mkfifo(path, 0o644)) },
		"second link": func(t *testing.T, path string) {
			must(t, os.WriteFile(path+"-other", nil, 0o644))
			must(t, os.Link(path+"-other", path))
		},
		"another user's": func(t *testing.T, path string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a file away")
			}
			must(t, os.WriteFile(path, nil, 0o666))
			must(t, os.Chown(path, 1, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pid\nfile")
			make(t, path)
			p, err := daemon.LockPIDFile(path)
			mustBeOneLine(t, err, path)
			if err == nil {
				t.Errorf("locked: %v", p)
			}
		})
	}
}

// mustBeOneLine also requires err to quote the path.
func mustBeOneLine(t *testing.T, err error, path string) {
	t.Helper()
	if text := fmt.Sprint(err); !strings.Contains(text, strconv.Quote(path)) || strings.Contains(text, "\n") {
		t.Errorf("got %q, which does not name %q on one line", text, path)
	}
}

func TestOtherFilesAreNotOverwritten(t *testing.T) {
	for name, content := range map[string]string{
		"text": "My thesis\n", "blank line": "\n", "negative": "-1\n", "numbers": strings.Repeat("1\n", 17),
		"digits": strings.Repeat("1", 33),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pid")
			must(t, os.WriteFile(path, []byte(content), 0o600))
			if _, err := daemon.LockPIDFile(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
			daemon.RemoveStalePIDFile(path)
			mustHold(t, path, content, 0o600)
		})
	}
}

func mustHold(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if string(got) != content || info.Mode() != mode {
		t.Errorf("%q holds %q, mode %v; want %q, %v", path, got, info.Mode(), content, mode)
	}
}

// What a stale file can hold: a PID, one without a newline, a longer one, and that of a daemon killed before it cut the
// rest.
var stale = []string{"999\n", "999", "4194304999\n", "12\n999\n"}

func TestAbandonRestoresAStaleFileAndRemovesANewOne(t *testing.T) {
	for _, content := range stale {
		path := filepath.Join(t.TempDir(), "pid")
		must(t, os.WriteFile(path, []byte(content), 0o600))
		p, err := daemon.LockPIDFile(path)
		must(t, err)
		mustHold(t, path, fmt.Sprintln(os.Getpid()), 0o644)
		must(t, p.Abandon())
		mustHold(t, path, content, 0o600)
	}
	path := filepath.Join(t.TempDir(), "pid")
	for range 2 {
		p, err := daemon.LockPIDFile(path)
		must(t, err)
		if !p.Created() {
			t.Error("was there already")
		}
		must(t, p.Abandon())
		mustNotExist(t, path)
		must(t, os.WriteFile(path, nil, 0o644)) // as left by a rival that made it but was too late to lock it
	}
}

func mustNotExist(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%q is left: %v", path, err)
	}
}

// A file that cannot be written, because of RLIMIT_FSIZE.
func TestAFailedWriteChangesNothing(t *testing.T) {
	if !alone(t, nil) {
		return
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "stale"), []byte("9"), 0o600))
	must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1, Max: 1}))
	for _, name := range []string{"stale", "new"} {
		if _, err := daemon.LockPIDFile(filepath.Join(dir, name)); !errors.Is(err, unix.EFBIG) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	mustHold(t, filepath.Join(dir, "stale"), "9", 0o600)
	mustNotExist(t, filepath.Join(dir, "new"))
}

// As on network file systems without locks.
func TestRefusedLocksLeaveNothing(t *testing.T) {
	if !isRerun() {
		if out, err := exec.Command("strace", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
			t.Skipf("strace(1) does not work here: %v %s", err, out)
		}
		for _, errno := range []string{"ENOLCK", "ENOSYS", "EOPNOTSUPP"} {
			rerun(t, nil, "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:error="+errno)
		}
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "new")
	_, err := daemon.LockPIDFile(path)
	if !errors.Is(err, unix.ENOLCK) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EOPNOTSUPP) ||
		!strings.Contains(err.Error(), "flock") {
		t.Errorf("got %v", err)
	}
	mustNotExist(t, path)
	path = filepath.Join(dir, "stale")
	must(t, os.WriteFile(path, []byte("9\n"), 0o600))
	if _, err := daemon.LockPIDFile(path); err == nil {
		t.Error("locked")
	}
	mustHold(t, path, "9\n", 0o600)
}

const rerunVariable = "DAEMON_TEST_RERUN"

func isRerun() bool { return os.Getenv(rerunVariable) != "" }

// alone reports whether the calling test has a process of its own; if not, it reruns it in one.
func alone(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	if !isRerun() {
		rerun(t, attr)
	}
	return isRerun()
}

// rerun runs the calling test again in a process of its own, for what cannot be undone. Wrapper is the command that
// starts it, if any.
func rerun(t *testing.T, attr *syscall.SysProcAttr, wrapper ...string) {
	t.Helper()
	program, err := os.Executable()
	must(t, err)
	args := append(wrapper, program, "-test.v", "-test.run=^"+t.Name()+"$")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), rerunVariable+"=1")
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, os.ErrPermission), errors.Is(err, unix.ENOSPC):
		t.Skip("no namespaces here:", err)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	}
}

// rounds repeats a test whose fault shows only by chance: most times, or after 10 s fewer, but at least a tenth.
func rounds(most int) iter.Seq[int] {
	return func(yield func(int) bool) {
		begin := time.Now()
		for n := range most {
			if n >= most/10 && time.Since(begin) > 10*time.Second || !yield(n) {
				return
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Anybody who may read a file that an earlier daemon left can lock it.
func TestAStrangerWithTheLockIsNamed(t *testing.T) {
	t.Parallel() // it waits
	path := filepath.Join(t.TempDir(), "pid")
	must(t, os.WriteFile(path, nil, 0o644))
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_SH))
	want := fmt.Sprintf("locked by a process other than the one it names, PID %d", os.Getpid())
	if _, err := daemon.LockPIDFile(path); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	mustHold(t, path, "", 0o644)
}

func TestPIDFileOfALivingAndOfAKilledDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	first := mustStart(t, order{PIDFile: path})
	var running *daemon.RunningError
	if _, err := daemon.LockPIDFile(path); !errors.As(err, &running) || running.PID != first {
		t.Errorf("got %v; the holder is PID %d", err, first)
	}
	daemon.RemoveStalePIDFile(path)
	mustHold(t, path, fmt.Sprintln(first), 0o644)
	kill(first)
	second := mustStart(t, order{PIDFile: path})
	mustHold(t, path, fmt.Sprintln(second), 0o644)
	kill(second)
	daemon.RemoveStalePIDFile(path)
	mustNotExist(t, path)
}

func TestRemoveLeavesASuccessorsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := daemon.LockPIDFile(path)
	must(t, err)
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, []byte("another's\n"), 0o644))
	must(t, p.Remove())
	mustHold(t, path, "another's\n", 0o644)
}
