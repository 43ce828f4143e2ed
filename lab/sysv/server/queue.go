package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"daemonlab/lab/procfs"
	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// openRequestQueue makes the request queue. A crash leaves the queue in the kernel; then the requests in it are saved
// and a new one is made. IPC_EXCL decides among servers that start at the same time.
func openRequestQueue(key sysv.Key) (sysv.Queue, error) {
	var backlog [][]byte
	for {
		q, err := sysv.Get(key, sysv.Create|sysv.Exclusive, wire.QueueMode)
		if err == nil {
			putBack(q, backlog)
			return q, claim(q)
		}
		if !errors.Is(err, os.ErrExist) {
			return q, err
		}
		q, err = sysv.Get(key, 0, 0)
		if errors.Is(err, os.ErrNotExist) { // removed in between
			continue
		}
		if err == nil {
			err = mustBeStale(q)
		}
		if err != nil {
			putBack(q, backlog) // for the server that was faster
			return q, err
		}
		saved := drain(q)
		backlog = append(backlog, saved...)
		switch err := q.Remove(); {
		case err == nil:
			logf("removed queue %v, which a server that has ended had left, with %d requests", q, len(saved))
		case !errors.Is(err, os.ErrNotExist): // another server was faster
			return q, err
		}
	}
}

// claimType is the type of a message that a server sends to itself.
const claimType = math.MaxInt

// claim has the kernel note this process as the one that received last (msg_lrpid). So other servers know who serves
// the queue, since nobody else may receive from it.
func claim(q sysv.Queue) error {
	err := q.Send(claimType, nil, sysv.NoWait)
	if err == nil {
		_, _, err = q.Receive(nil, claimType, sysv.NoWait)
	}
	if err != nil {
		q.Remove()
	}
	return err
}

// claimTime is how long a server that starts may take from making its queue to claiming it.
const claimTime = time.Second / 2

// mustBeStale refuses a queue that may have a living server, and one of another user.
func mustBeStale(q sysv.Queue) error {
	for deadline := time.Now().Add(claimTime); ; time.Sleep(time.Millisecond) {
		s, err := q.Look()
		switch {
		case errors.Is(err, os.ErrNotExist): // another server, which starts too, has removed it
			return nil
		case err != nil:
			return err
		case int(s.UID) != os.Geteuid():
			return fmt.Errorf("queue %v: belongs to user %d, not to %d: %w", q, s.UID, os.Geteuid(), os.ErrPermission)
		case s.LastReceiver != 0:
			return mustHaveEnded(q, s.LastReceiver)
		case time.Now().After(deadline):
			return fmt.Errorf("queue %v: is there, but no server to be seen; if there is none, remove it: ipcrm -q %d",
				q, q.ID())
		}
	}
}

func mustHaveEnded(q sysv.Queue, pid int) error {
	p := procfs.New("/proc").Process(pid)
	ended, err := p.Ended()
	if ended || err != nil {
		return err
	}
	name := "?"
	if s, err := p.Stat(); err == nil {
		name = s.Comm
	}
	return fmt.Errorf("queue %v: process %d (%s) receives from it; if that is no server, remove it: ipcrm -q %d",
		q, pid, name, q.ID())
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

// putBack puts requests into the queue that has taken the place of theirs. What does not fit was not promised anything.
func putBack(q sysv.Queue, requests [][]byte) {
	for _, r := range requests {
		if err := q.Send(wire.RequestType, r, sysv.NoWait); err != nil {
			logf("lost a request: %v", err)
		}
	}
}
