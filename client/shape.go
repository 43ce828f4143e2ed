package main

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

// shape is the form of a queue: how many messages it holds, and of how many bytes.
type shape struct{ depth, size int }

func (s shape) cost() uint64 { return mq.Cost(s.depth, s.size) }

// shapesWithin are those worth trying that cost no more than budget, best and dearest first, and at least the smallest
// one. Size comes before depth: half the size costs more speed than half the depth.
func shapesWithin(budget uint64, deepest, largest int) []shape {
	var all []shape
	cheapest := uint64(math.MaxUint64)
	add := func(depth, size int) {
		s := shape{min(depth, deepest), min(size, largest)}
		if s.cost() < cheapest && (s.cost() <= budget || s.size == wire.MinMsgSize) {
			all = append(all, s)
			cheapest = s.cost()
		}
	}
	for _, size := range []int{largest, usualSize} {
		for _, depth := range []int{bestDepth, 6, 4, 2} {
			add(depth, size)
		}
	}
	for size := 4096; size >= wire.MinMsgSize; size /= 2 {
		add(2, size)
	}
	add(1, wire.MinMsgSize)
	return all
}

// queueLimit is how many bytes all queues of this user may cost together.
func queueLimit() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &limit); err != nil {
		return 0, fmt.Errorf("RLIMIT_MSGQUEUE: %w", err)
	}
	return limit.Cur, nil
}

// places is for how many clients of a user, at a server, there are shares of different size.
const places = 64

// takePlace finds out how many clients of this user there are already, at most places. The kernel tells nobody how much
// of RLIMIT_MSGQUEUE is in use, and most reply queues have lost their names. So each client holds a lock on one byte of
// the server's queue: that takes a microsecond, and the kernel lets go of it when the client ends, in whatever way.
func takePlace(server *mq.Blocking) (n int) {
	first := int64(os.Getuid()) * places
	server.Control(func(fd uintptr) {
		for n < places && !lockByte(fd, first+int64(n)) {
			n++
		}
	})
	return n
}

// lockByte locks for the open file description, since a process could lose a POSIX lock (fcntl(2)).
func lockByte(fd uintptr, at int64) bool {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: 1}
	return unix.FcntlFlock(fd, unix.F_OFD_SETLK, &lock) == nil
}

// share is how much of the limit the client at a place may take, in bytes. The first takes what it likes. The others
// take so much less that it is enough for 90 clients beside a server of the same user under the default limit: the
// second gets 6 x 8192 bytes, the tenth 2 x 8192, the last 2 x 1024.
func share(place int, limit uint64) uint64 {
	if place == 0 {
		return math.MaxUint64
	}
	return limit / uint64(9+3*place)
}
