package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
)

//lab:begin

// becomeBatch makes the server's threads SCHED_BATCH, see sched(7), unless its starter has chosen a policy: no privilege
// is needed for it. A worker that a request wakes then does not take the processor from the client that has sent it.
// That client goes on until it waits, as it is about to do, and more requests are there when the worker has its turn.
func becomeBatch() error {
	return daemon.EachThread(func(tid int) error {
		attr, err := unix.SchedGetAttr(tid, 0)
		if err == nil && attr.Policy == unix.SCHED_NORMAL {
			attr.Policy = unix.SCHED_BATCH
			err = unix.SchedSetAttr(tid, attr, 0)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("schedule thread %d as batch: %w", tid, err)
		}
		return nil
	})
}

//lab:end
