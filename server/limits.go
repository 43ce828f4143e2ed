package main

import "golang.org/x/sys/unix"

const (
	// sensibleTransfers is twice as many as the reply queues that an IPC namespace has room for by default (queues_max), so
	// that one user alone may have a transfer for each, see users.
	sensibleTransfers = 512
	// A transfer opens its reply queue, its file and its client's pidfd.
	descriptorsPerTransfer = 3
	// The rest of the daemon's descriptors: the streams, the request queue, log, PID file, root and runtime.
	descriptorsOfServer = 32
)

func defaultTransfers() int {
	return min(maxTransfers(), sensibleTransfers)
}

// maxTransfers is the number of transfers at a time that the limit of open files leaves room for.
func maxTransfers() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return sensibleTransfers
	}
	room := (int64(min(limit.Cur, 1<<20)) - descriptorsOfServer) / descriptorsPerTransfer
	return int(max(1, room))
}

// becomeBatch makes this thread SCHED_BATCH, see sched(7), and with it the daemon, which inherits that over fork and
// exec; a policy that the starter has chosen stays. A thread that a request wakes then does not take the processor from
// the client that sent it. That needs no privilege and takes nothing from others.
func becomeBatch() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err == nil && attr.Policy == unix.SCHED_NORMAL {
		attr.Policy = unix.SCHED_BATCH
		unix.SchedSetAttr(0, attr, 0)
	}
}
