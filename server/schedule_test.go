package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/specs/harness"
)

// mustBeScheduled checks the policy of every thread, and that its nice value is 0 whatever the starter's was.
func mustBeScheduled(t *testing.T, s *harness.Server, policy uint32) {
	t.Helper()
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(s.PID) + "/task/*")
	must(t, err)
	for _, thread := range threads {
		tid, err := strconv.Atoi(filepath.Base(thread))
		must(t, err)
		attr, err := unix.SchedGetAttr(tid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		must(t, err)
		if attr.Policy != policy || attr.Nice != 0 {
			t.Errorf("thread %d: policy %d, want %d, nice value %d, want 0", tid, attr.Policy, policy, attr.Nice)
		}
	}
}

func TestEveryThreadIsScheduledAsBatch(t *testing.T) {
	mustBeScheduled(t, start(t, place(t)), unix.SCHED_BATCH)
}

func TestTheStartersSchedulingPolicyStays(t *testing.T) {
	runtime.LockOSThread() // the thread ends with the test, and its policy with it
	must(t, unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0))
	mustBeScheduled(t, start(t, place(t)), unix.SCHED_IDLE)
}

func TestTheSessionsNiceValueStays(t *testing.T) {
	s := start(t, place(t))
	value, err := os.ReadFile("/proc/" + strconv.Itoa(s.PID) + "/autogroup")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the kernel groups no processes by session")
	}
	must(t, err)
	if text := string(value); text[len(text)-3:] != " 0\n" {
		t.Errorf("autogroup %q", text)
	}
}
