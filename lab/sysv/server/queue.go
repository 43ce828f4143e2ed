package main

import (
	"errors"
	"fmt"
	"math"
	"os"

	"daemonlab/lab/procfs"
	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// openRequestQueue makes the request queue. A crash leaves the queue in the kernel; then the requests in it are saved
// and a new one is made. IPC_EXCL decides among servers that start at the same time. With an error comes the queue of
// a server that was faster.
func openRequestQueue(key sysv.Key) (sysv.Queue, error) {
	q, err := sysv.Get(key, sysv.Create|sysv.Exclusive, wire.QueueMode)
	if err == nil {
		return q, claim(q)
	}
	if !errors.Is(err, os.ErrExist) {
		return q, err
	}
	if q, err = sysv.Get(key, 0, 0); err == nil {
		err = mustBeStale(q)
	}
	var saved [][]byte
	if err == nil {
		saved = drain(q)
		logf("queue %d, which a server that has ended had left, with %d requests, makes room for a new one", q, len(saved))
		err = q.Remove()
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) { // that another server has removed it is well
		return q, err
	}
	q, err = openRequestQueue(key)
	for _, r := range saved {
		if err := q.Send(wire.RequestType, r, sysv.NoWait); err != nil {
			logf("lost a request: %v", err)
		}
	}
	return q, err
}

// claim has the kernel note this process as the one that received last (msg_lrpid), with a message of a type that no
// request has. So other servers know who serves the queue, since nobody else may receive from it.
func claim(q sysv.Queue) error {
	err := q.Send(math.MaxInt, nil, sysv.NoWait)
	if err == nil {
		_, _, err = q.Receive(nil, math.MaxInt, sysv.NoWait)
	}
	if err != nil {
		q.Remove()
	}
	return err
}

// mustBeStale refuses a queue that may have a living server, and one of another user. A server that has made its queue
// but not claimed it yet is one of those that cannot be seen.
func mustBeStale(q sysv.Queue) error {
	s, err := q.Status()
	switch {
	case err != nil:
		return err
	case int(s.UID) != os.Geteuid():
		return fmt.Errorf("queue %d: belongs to user %d, not to %d: %w", q, s.UID, os.Geteuid(), os.ErrPermission)
	case s.LastReceiver == 0:
		return fmt.Errorf("queue %d: is there, but no server to be seen; if there is none, remove it: ipcrm -q %[1]d", q)
	}
	server := procfs.New("/proc").Process(s.LastReceiver)
	if ended, err := server.Ended(); ended || err != nil {
		return err
	}
	stat, _ := server.Stat()
	return fmt.Errorf("queue %d: process %d (%s) receives from it; if that is no server, remove it: ipcrm -q %[1]d",
		q, s.LastReceiver, stat.Comm)
}

// drain takes all requests out of a queue.
func drain(q sysv.Queue) (requests [][]byte) {
	for {
		buf := make([]byte, wire.RequestSize+1)
		n, _, err := q.Receive(buf, 0, sysv.NoWait|sysv.NoError)
		if err != nil {
			return requests
		}
		requests = append(requests, buf[:n])
	}
}
