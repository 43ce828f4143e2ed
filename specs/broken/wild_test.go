package broken_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/specs/broken"
	"daemonlab/specs/harness"
)

// wildRows cover a program's start, work and end.
var wildRows = []string{"fds", "failure", "instance", "transfer", "sigterm", "output", "exit", "cleanup"}

// wildLimit is far more than all wild programs together need.
const wildLimit = 5 * time.Minute

// Every wild program gets a verdict in bounded time and leaves nothing behind.
func TestWildPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	programs, err := broken.Wild("wild")
	must(t, err)
	tmp := t.TempDir()
	must(t, os.Chmod(tmp, 0o755))
	t.Setenv("TMPDIR", tmp) // the suite's working directory
	queuesBefore := queues(t)
	watch := harness.NewStopwatch()
	for _, v := range judgeAll(t, chosen(t, programs), wildRows) {
		t.Run(v.Program.Name, func(t *testing.T) {
			if v.Skipped != "" {
				t.Skip(v.Skipped)
			}
			if len(v.Failed()) == 0 {
				t.Error("it failed no row")
			}
			for _, line := range v.NotJudged() {
				t.Error(line)
			}
		})
	}
	if !watch.Within(wildLimit) {
		t.Errorf("it took %v", watch.Took())
	}
	nothingIsLeft(t, tmp, queuesBefore)
}

func nothingIsLeft(t *testing.T, tmp string, queuesBefore []string) {
	left, err := harness.Adopted()
	must(t, err)
	for _, p := range left {
		t.Errorf("process %d (%s) is left", p.Pid, p.Comm)
	}
	entries, err := os.ReadDir(tmp)
	must(t, err)
	for _, e := range entries {
		t.Errorf("%s is left", filepath.Join(tmp, e.Name()))
	}
	for _, name := range queues(t) {
		if !slices.Contains(queuesBefore, name) && abandoned(name) {
			t.Errorf("queue %s is left", name)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, tmp) {
			t.Errorf("a mount is left: %s", line)
		}
	}
}

// queues lists the queues made by specs.
func queues(t *testing.T) (names []string) {
	entries, err := os.ReadDir(mqueuefs(t))
	must(t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "spec-") {
			names = append(names, e.Name())
		}
	}
	return names
}

// mqueuefs is where the queues of this IPC namespace are listed. If they cannot be, an empty directory lists none.
func mqueuefs(t *testing.T) string {
	if harness.HasMqueuefs() {
		return harness.QueueDir
	}
	dir := t.TempDir()
	if err := unix.Mount("mqueue", dir, "mqueue", 0, ""); err != nil {
		t.Logf("leftover queues cannot be seen: mqueuefs is not mounted at %s and cannot be: %v", harness.QueueDir, err)
		return dir
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// abandoned reports whether the suite that made a queue has ended; its PID is in the name. Another suite may be running.
func abandoned(name string) bool {
	fields := strings.Split(name, "-") // spec-WHAT-PID-NUMBER
	_, err := os.Stat("/proc/" + fields[len(fields)-2])
	return err != nil
}
