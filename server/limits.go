package main

import (
	"golang.org/x/sys/unix"
)

const (
	// sensibleTransfers is enough for every reply queue that an IPC namespace holds by default (queues_max).
	sensibleTransfers = 256
	// A transfer opens its reply queue, its file and, when it has to wait, its client's pidfd.
	descriptorsPerTransfer = 3
	// The rest of the daemon's descriptors: the streams, the request queue, log, PID file, root and runtime.
	descriptorsOfServer = 32
)

func defaultTransfers() int {
	return min(maxTransfers(), sensibleTransfers)
}

// maxTransfers is the number of transfers at a time that the limit of open files leaves room for. A server that ran
// out of descriptors would have to drop requests.
func maxTransfers() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return sensibleTransfers
	}
	room := (int64(min(limit.Cur, 1<<20)) - descriptorsOfServer) / descriptorsPerTransfer
	return int(max(1, room))
}
