package main_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/specs/harness"
)

// ofThreads lists what f takes of the attributes of each thread, each value once.
func ofThreads[T comparable](t *testing.T, pid int, f func(*unix.SchedAttr) T) (values []T) {
	t.Helper()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	must(t, err)
	seen := map[T]bool{}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		must(t, err)
		attr, err := unix.SchedGetAttr(tid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		must(t, err)
		if v := f(attr); !seen[v] {
			seen[v] = true
			values = append(values, v)
		}
	}
	return values
}

func mustBePolicy(t *testing.T, s *harness.Server, want uint32) {
	t.Helper()
	found := ofThreads(t, s.PID, func(a *unix.SchedAttr) uint32 { return a.Policy })
	if len(found) != 1 || found[0] != want {
		t.Errorf("policies %v, want %d alone", found, want)
	}
}

func TestEveryThreadIsScheduledAsBatch(t *testing.T) {
	mustBePolicy(t, start(t, place(t)), unix.SCHED_BATCH)
}

func TestTheStartersSchedulingPolicyStays(t *testing.T) {
	runtime.LockOSThread() // the thread ends with the test, and its policy with it
	must(t, unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0))
	s := start(t, place(t))
	mustBePolicy(t, s, unix.SCHED_IDLE)
	run("--stop", "--pidfile", s.PIDFile) // which writes out the log
	log, err := os.ReadFile(s.Log)
	must(t, err)
	// The kernel keeps an ordinary user's SCHED_IDLE as it is. That it was not even tried to change it, the log shows.
	if strings.Contains(string(log), "batch") {
		t.Errorf("the log:\n%s", log)
	}
}

func mustHaveNiceThreads(t *testing.T, pid, want int) {
	t.Helper()
	found := ofThreads(t, pid, func(a *unix.SchedAttr) int32 { return a.Nice })
	if len(found) != 1 || int(found[0]) != want {
		t.Errorf("nice values %v, want %d alone", found, want)
	}
}

// mustBeNice checks the nice value of all threads, and that of the session's group, where the kernel has such groups.
func mustBeNice(t *testing.T, s *harness.Server, threads, session int) {
	t.Helper()
	mustHaveNiceThreads(t, s.PID, threads)
	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", s.PID))
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	must(t, err)
	if want := fmt.Sprintf(" nice %d\n", session); !strings.HasSuffix(string(group), want) {
		t.Errorf("autogroup reads %q, want it to end with %q", group, want)
	}
}

// timerSlacks are those of the daemon's threads, each once.
func timerSlacks(t *testing.T, s *harness.Server) []string {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", s.PID))
	must(t, err)
	seen := map[string]bool{}
	for _, thread := range threads {
		slack, err := os.ReadFile("/proc/" + filepath.Base(thread) + "/timerslack_ns")
		if errors.Is(err, os.ErrPermission) {
			t.Skip("only root may see the timer slack of others")
		}
		if err == nil {
			seen[strings.TrimSpace(string(slack))] = true
		}
	}
	return slices.Collect(maps.Keys(seen))
}

func TestEveryThreadsTimersAreRelaxed(t *testing.T) {
	if found := timerSlacks(t, start(t, place(t))); !slices.Equal(found, []string{"5000000"}) {
		t.Errorf("timer slacks of %v ns, want 5000000 alone", found)
	}
}

func TestTheStartersTimerSlackStays(t *testing.T) {
	runtime.LockOSThread() // the thread ends with the test, and its slack with it
	must(t, unix.Prctl(unix.PR_SET_TIMERSLACK, 70_000, 0, 0, 0))
	if found := timerSlacks(t, start(t, place(t))); !slices.Equal(found, []string{"70000"}) {
		t.Errorf("timer slacks of %v ns, want 70000 alone", found)
	}
}

// mayLowerNice tries it, in a thread that ends with the goroutine.
func mayLowerNice() bool {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		result <- unix.Setpriority(unix.PRIO_PROCESS, 0, -1)
	}()
	return <-result == nil
}

func TestRootsServerGoesBeforeItsClients(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	if !mayLowerNice() {
		mustBeNice(t, start(t, place(t)), 0, 0)
		t.Skip("this root may not lower a nice value (CAP_SYS_NICE): seen only that its server starts nevertheless")
	}
	mustBeNice(t, start(t, place(t)), -5, -5)
}

func TestAnOrdinaryUsersServerIsNoNicerThanItsStarter(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("for ordinary users")
	}
	mustBeNice(t, start(t, place(t)), 0, 0)
}

func TestTheStartersNiceValueStays(t *testing.T) {
	runtime.LockOSThread() // the thread ends with the test, and its nice value with it
	must(t, unix.Setpriority(unix.PRIO_PROCESS, 0, 3))
	mustBeNice(t, start(t, place(t)), 3, 0)
}

func TestTheNiceValueCanBeChosen(t *testing.T) {
	for _, nice := range []int{0, 4} {
		mustBeNice(t, start(t, place(t), "--nice", strconv.Itoa(nice)), nice, nice)
	}
}

func TestNiceIsANumberFromMinus20To19(t *testing.T) {
	pidFile := filepath.Join(place(t).Dir, "other.pid")
	for _, value := range []string{"-21", "20", "x", ""} {
		if out, status := run("--pidfile", pidFile, "--nice="+value); status != 2 || !strings.Contains(out, "from -20 to 19") {
			t.Errorf("--nice=%s: exit status %d: %s", value, status, out)
		}
	}
}

func TestANiceValueThatCannotBeHadIsAnErrorAtTheStart(t *testing.T) {
	if mayLowerNice() {
		t.Skip("this user may have any value")
	}
	p := place(t)
	out, status := run("--root", p.Root, "--pidfile", p.PIDFile, "--queue", p.Queue, "--nice", "-1")
	if status != 1 || out != "mqfiled: nice value -1: permission denied\n" {
		t.Errorf("exit status %d: %s", status, out)
	}
}
