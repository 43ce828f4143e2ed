package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
)

// shape of a reply queue.
type shape struct{ depth, size int }

// requestQueue is the shape that the contract asks of a server.
var requestQueue = shape{10, 4356}

func (s shape) cost() uint64 { return mq.Cost(s.depth, s.size) }

// checkRoom makes the most expensive set of queues of all loads and removes it, so that a machine that has no room
// for it is told before, not in the middle.
func checkRoom(prefix string) error {
	limits, err := mq.SystemLimits()
	if err != nil {
		return err
	}
	if limits.MsgMax < deep.depth || limits.MsgSizeMax < deep.size {
		return fmt.Errorf("the loads need queues of %d x %d bytes; /proc/sys/fs/mqueue allows %d x %d",
			deep.depth, deep.size, limits.MsgMax, limits.MsgSizeMax)
	}
	shapes := []shape{requestQueue}
	need := requestQueue.cost()
	for range slowTransfers {
		shapes = append(shapes, slowShape)
		need += slowShape.cost()
	}
	err = makeAndRemove(prefix, shapes)
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("no room for %d message queues, %d bytes together: other processes of user %d hold some of the "+
			"%d bytes (RLIMIT_MSGQUEUE) or the system's %d queues (queues_max); end them, or run as another user",
			len(shapes), need, os.Getuid(), limits.MsgQueueBytes, limits.QueuesMax)
	}
	return err
}

func makeAndRemove(prefix string, shapes []shape) error {
	var held []*mq.Queue
	defer func() {
		for _, q := range held {
			mq.Unlink(q.Name())
			q.Close()
		}
	}()
	for i, s := range shapes {
		q, err := mq.Open(fmt.Sprintf("%s%d", prefix, i), os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600,
			&mq.Attr{MaxMsg: s.depth, MsgSize: s.size})
		if err != nil {
			return err
		}
		held = append(held, q)
	}
	return nil
}
