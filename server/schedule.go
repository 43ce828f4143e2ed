package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

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

// timerSlack is how much later than asked the kernel may end a sleep of the daemon's threads, see PR_SET_TIMERSLACK in
// prctl(2). Nothing here needs to be on time, and a runtime that hurries does harm: Go's monitor thread would look every
// 70 us after each time that the server was idle, on the processor on which a client is about to wake.
const timerSlack = 5 * time.Millisecond

// relaxTimers sets the slack unless somebody has chosen one. The calling thread hands it on to those that it starts, over
// fork and exec: this is how the monitor thread gets it, which is there before any code of ours.
func relaxTimers() {
	const usual = 50 * time.Microsecond
	if was, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err == nil && time.Duration(was) == usual {
		unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0)
	}
}

// rootsNice is the nice value that a server started by root gets unless told otherwise. Its threads then answer a request
// to the end before the client that the answer wakes runs: INFO, DATA and END wake it once instead of three times.
const rootsNice = -5

// becomeNice gives the daemon its nice value, nil being none in particular: then it does its best. A value that the
// starter has chosen stays, and root without CAP_SYS_NICE serves at 0.
func becomeNice(nice *int, starter int) error {
	if nice == nil {
		if isRootsDefault() {
			setNice(rootsNice)
			setSessionNice(rootsNice, starter)
		}
		return nil
	}
	if err := setNice(*nice); err != nil {
		return err
	}
	return setSessionNice(*nice, starter)
}

func isRootsDefault() bool {
	const zero = 20 // as getpriority(2) has it
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	return err == nil && nice == zero && unix.Geteuid() == 0
}

func setNice(nice int) error {
	return daemon.EachThread(func(tid int) error {
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("nice value %d: %w", nice, err)
		}
		return nil
	})
}

// session is that of this process.
func session() int {
	sid, _ := unix.Getsid(0) // cannot fail for the process itself
	return sid
}

// setSessionNice sets what counts where the kernel groups processes by session, see sched(7): a process's own nice value
// is for the others of its group then. A session that is still the starter's is not the daemon's to change.
func setSessionNice(nice, starter int) error {
	if session() == starter {
		return nil
	}
	f, err := os.OpenFile("/proc/self/autogroup", os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	// The kernel takes one value in 100 ms, of all users that are not root (proc_sched_autogroup_set_nice).
	for range 100 {
		if _, err = f.WriteString(strconv.Itoa(nice)); !errors.Is(err, unix.EAGAIN) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// neighbour is the client of a transfer as the scheduler sees it. One that runs on the transfer's own processor takes it
// at every message that wakes it, and sleeps again a few microseconds later, while another processor is idle: the
// kernel parts the two in its own time, up to 30 ms later.
type neighbour struct {
	preempted int64 // how often the thread was, at the last look; 0 before the first
}

// tooOften is how many times a thread is preempted between two looks only when its client sits on its processor: that
// is once in a few messages. Others, who have work for longer, take it once in milliseconds.
const tooOften = 4

// avoid looks, and moves the thread away from such a client. Where that is not allowed, transfers take longer. A
// goroutine that has got another thread since the last look may move once in vain.
func (n *neighbour) avoid() {
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &used) != nil {
		return
	}
	if n.preempted > 0 && used.Nivcsw-n.preempted > tooOften {
		daemon.LeaveProcessor()
	}
	n.preempted = used.Nivcsw
}

//lab:end
