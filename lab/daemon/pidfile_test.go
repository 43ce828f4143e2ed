package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
			path := filepath.Join(t.TempDir(), "pid")
			make(t, path)
			p, err := daemon.LockPIDFile(path)
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, %v", p, err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPIDFileNamesItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	pid, err := start(t, order{PIDFile: path})
	must(t, err)
	var running *daemon.RunningError
	if _, err := daemon.LockPIDFile(path); !errors.As(err, &running) || running.PID != pid {
		t.Errorf("got %v; the holder is PID %d", err, pid)
	}
}

func TestPIDFileOfAKilledDaemonIsTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	first, err := start(t, order{PIDFile: path})
	must(t, err)
	kill(first)
	second, err := start(t, order{PIDFile: path})
	must(t, err)
	content, err := os.ReadFile(path)
	if err != nil || string(content) != fmt.Sprintln(second) {
		t.Errorf("the file holds %q, %v; the daemon is PID %d", content, err, second)
	}
}

func TestRemoveLeavesASuccessorsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := daemon.LockPIDFile(path)
	must(t, err)
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, []byte("another's\n"), 0o644))
	must(t, p.Remove())
	if content, err := os.ReadFile(path); err != nil || string(content) != "another's\n" {
		t.Errorf("the file holds %q, %v", content, err)
	}
}

func TestRemoveStalePIDFileLeavesALockedOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	pid, err := start(t, order{PIDFile: path})
	must(t, err)
	daemon.RemoveStalePIDFile(path)
	if _, err := os.Stat(path); err != nil {
		t.Error("the file of a living daemon is gone:", err)
	}
	kill(pid)
	daemon.RemoveStalePIDFile(path)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the file of a dead daemon is still there:", err)
	}
}
