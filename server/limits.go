package main

import "golang.org/x/sys/unix"

const (
	// sensibleTransfers is twice the number of reply queues an IPC namespace allows by default (queues_max): one user
	// alone, who gets half, may then have a transfer for each, see users.
	sensibleTransfers = 512
	// A transfer opens its reply queue, its file and its client's pidfd.
	descriptorsPerTransfer = 3
	// Everything else the daemon has open: the streams, request queue, log, PID file, root, and the runtime's.
	descriptorsOfServer = 32
)

func defaultTransfers() int {
	return min(maxTransfers(), sensibleTransfers)
}

// maxTransfers is the number of concurrent transfers that RLIMIT_NOFILE has room for.
func maxTransfers() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return sensibleTransfers
	}
	room := (int64(min(limit.Cur, 1<<20)) - descriptorsOfServer) / descriptorsPerTransfer
	return int(max(1, room))
}

// becomeBatch makes this thread SCHED_BATCH, see sched(7), and so the daemon, which inherits it over fork and exec; a
// policy chosen by the starter stays. A thread woken by a request then does not preempt the client that sent it. This
// needs no privilege and takes nothing from others.
func becomeBatch() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err == nil && attr.Policy == unix.SCHED_NORMAL {
		attr.Policy = unix.SCHED_BATCH
		unix.SchedSetAttr(0, attr, 0)
	}
}
