package daemon_test

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
)

// processor is where the calling thread runs: field 39 of its stat, see proc_pid_stat(5).
func processor(t *testing.T) int {
	t.Helper()
	stat, err := os.ReadFile("/proc/thread-self/stat")
	must(t, err)
	afterComm := string(stat[strings.LastIndexByte(string(stat), ')')+2:])
	n, err := strconv.Atoi(strings.Fields(afterComm)[39-3])
	must(t, err)
	return n
}

func affinity(t *testing.T) (set unix.CPUSet) {
	t.Helper()
	must(t, unix.SchedGetaffinity(0, &set))
	return set
}

func TestLeaveProcessor(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := affinity(t)
	if before.Count() < 2 {
		t.Skip("this process may run on one processor only")
	}
	// The kernel moves threads by itself too, now and then. This one moves each time.
	const times = 100
	moved := 0
	for range times {
		here := processor(t)
		must(t, daemon.LeaveProcessor())
		if processor(t) != here {
			moved++
		}
	}
	if moved < times/2 {
		t.Errorf("was on another processor after %d of %d calls", moved, times)
	}
	if after := affinity(t); after != before {
		t.Errorf("the affinity mask was %v and is %v", before, after)
	}
}

func TestLeaveProcessorWithoutAnother(t *testing.T) {
	runtime.LockOSThread() // the thread ends with the test, and its mask with it
	var alone unix.CPUSet
	alone.Set(processor(t))
	must(t, unix.SchedSetaffinity(0, &alone))
	must(t, daemon.LeaveProcessor())
	if after := affinity(t); after != alone {
		t.Errorf("the affinity mask was %v and is %v", alone, after)
	}
}
