//lab:give

package daemon

import (
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// EachThread calls f with the ID of every thread of the process, for what the kernel keeps for each thread and a new
// one inherits from the thread that starts it. It goes on until no thread has come meanwhile, and ends at f's first
// error.
func EachThread(f func(tid int) error) error {
	for done := 0; ; {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil || len(threads) == done {
			return err
		}
		for _, thread := range threads {
			tid, err := strconv.Atoi(thread.Name())
			if err != nil {
				return err
			}
			if err := f(tid); err != nil {
				return err
			}
		}
		done = len(threads)
	}
}

// LeaveProcessor moves the calling thread to another processor, if it may run on one: the kernel does that at once for a
// thread that is where its affinity mask has no room for it. The mask is then as it was.
func LeaveProcessor() error {
	runtime.LockOSThread() // a thread that Go starts meanwhile does not inherit the narrow mask either
	defer runtime.UnlockOSThread()
	here, err := processor()
	if err != nil {
		return os.NewSyscallError("getcpu", err)
	}
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	others := all
	others.Clear(here)
	if others.Count() == 0 {
		return nil
	}
	if err := unix.SchedSetaffinity(0, &others); err != nil {
		return os.NewSyscallError("sched_setaffinity", err)
	}
	return os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, &all))
}
