package main

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// openRequestQueue makes the request queue, or takes over the one that a crash has left in the kernel, with its requests.
// A lock on the kernel's list of queues has one server start at a time.
func openRequestQueue(key sysv.Key) (q sysv.Queue, err error) {
	list, err := os.Open("/proc/sysvipc/msg")
	if err != nil {
		return -1, err
	}
	defer list.Close()
	if err := unix.Flock(int(list.Fd()), unix.LOCK_EX); err != nil {
		return -1, &os.PathError{Op: "flock", Path: list.Name(), Err: err}
	}
	q, err = sysv.Get(key, sysv.Create|sysv.Exclusive, wire.QueueMode)
	if errors.Is(err, os.ErrExist) {
		if q, err = sysv.Get(key, 0, 0); err == nil {
			err = mustBeStale(q)
		}
	}
	if err == nil {
		err = claim(q)
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
	return err
}

// mustBeStale refuses a queue that may have a living server, and one of another user.
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
	stat, _ := server.Stat()
	if ended, err := server.Ended(); err != nil {
		return err
	} else if !ended {
		return fmt.Errorf("queue %d: process %d (%s) receives from it; if that is no server, remove it: ipcrm -q %[1]d",
			q, s.LastReceiver, stat.Comm)
	}
	logf("takes over queue %d, which a server that has ended had left, with %d requests", q, s.Messages)
	return nil
}

// receive takes a request of any type, cut if it is too long: one that is never taken would be in the way for ever.
func receive(q sysv.Queue, flags int) ([]byte, error) {
	buf := make([]byte, wire.RequestSize+1)
	n, _, err := q.Receive(buf, 0, flags|sysv.NoError)
	return buf[:n], err
}
