//lab:give

package daemon

import (
	"os"
	"strconv"
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
