package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

func replyName() string { return "/" + uniqueName() }

// uniqueName returns a name that nobody can guess and so neither take beforehand nor, if it is a queue's, send to. The
// PID tells a person whose it is.
func uniqueName() string {
	var random [12]byte
	if _, err := unix.Getrandom(random[:], 0); err != nil { // not crypto/rand: its first use takes 100 us
		panic(err) // documented only for invalid arguments
	}
	return "mqfile-" + strconv.Itoa(os.Getpid()) + "-" + hex.EncodeToString(random[:])
}

// shape is a queue's depth and message size in bytes, and what it must leave free for others.
type shape struct {
	depth, size int
	leaves      uint64
}

// shapes are the shapes a reply queue may have, best first. Half the size costs more speed than half the depth; with
// ten messages in the queue neither side waits for the other, and beyond 64 KiB copying costs far more than the call.
//
// A shape is taken only if it leaves free the given percentage of RLIMIT_MSGQUEUE, which all queues of a user share.
// So under the default limit a client that is alone gets 10 x 8192, and 90 at once have room beside a server.
var shapes = []shape{
	{10, 65536, 70}, {4, 65536, 70}, {2, 65536, 70},
	{10, 8192, 70}, {4, 8192, 50}, {2, 8192, 38},
	{2, 4096, 20}, {2, 2048, 7}, {2, 1024, 3}, {2, 512, 0}, {1, wire.MinMsgSize, 0},
}

// No event reports that another process's queue is gone, so a client that waits for room polls, often at first, with
// jitter.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 256 * time.Millisecond
)

// makeReply makes the queue for the responses and returns it with its message size. It waits for room as long as it
// may.
func makeReply(name string, wait time.Duration, left *leftovers) (*mq.Blocking, int, error) {
	q, size, err := tryShapes(shapes, name, left)
	end := time.Now().Add(wait)
	if noRoom(err) && wait > 0 {
		fmt.Fprintf(os.Stderr, "mqfile: waiting up to %v for room: %s\n", wait, printable(err.Error()))
	}
	for pause := firstPause; noRoom(err) && time.Now().Before(end); pause = min(2*pause, lastPause) {
		time.Sleep(min(pause/2+rand.N(pause/2), time.Until(end)))
		if q, size, err = tryShapes(shapes[len(shapes)-1:], name, left); err == nil { // there is room: perhaps for more
			q.Close()
			left.removeQueue()
			q, size, err = tryShapes(shapes, name, left)
		}
	}
	if noRoom(err) {
		err = fmt.Errorf("%w; ls /dev/mqueue shows the queues, rm there removes one that a killed client left", err)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("no reply queue: %w", err)
	}
	return q, size, nil
}

// noRoom reports whether a queue may be had once others are gone. EMFILE: RLIMIT_MSGQUEUE. ENOSPC: queues_max.
func noRoom(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENOSPC) }

// tryShapes makes the best queue that there is room for. No system call reports how much of RLIMIT_MSGQUEUE is free,
// but mq_open(2) compares usage with the soft limit, so it lowers that by what must stay free.
func tryShapes(shapes []shape, name string, left *leftovers) (q *mq.Blocking, size int, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &limit); err != nil {
		return nil, 0, fmt.Errorf("RLIMIT_MSGQUEUE: %w", err)
	}
	if least := mq.Cost(1, wire.MinMsgSize); limit.Cur < least {
		return nil, 0, fmt.Errorf("RLIMIT_MSGQUEUE (ulimit -q) is %d bytes, the smallest queue costs %d", limit.Cur, least)
	}
	defer unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &limit)
	largest := max(maxMessage(), 8192)
	for _, s := range shapes {
		if s.size > largest {
			continue
		}
		lowered := unix.Rlimit{Cur: limit.Cur - limit.Cur/100*s.leaves, Max: limit.Max}
		if err := unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &lowered); err != nil {
			return nil, 0, fmt.Errorf("RLIMIT_MSGQUEUE: %w", err)
		}
		q, err = create(name, &mq.Attr{MaxMsg: s.depth, MsgSize: s.size}, left)
		if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.EINVAL) { // EINVAL: msg_max or msgsize_max
			return q, s.size, err
		}
	}
	return nil, 0, err
}

// create makes the queue and lets any server send to it, whatever the umask.
func create(name string, attr *mq.Attr, left *leftovers) (*mq.Blocking, error) {
	left.Lock()
	defer left.Unlock()
	q, err := mq.OpenBlocking(name, os.O_CREATE|os.O_EXCL|os.O_RDONLY, wire.QueueMode, attr)
	if err != nil {
		return nil, err
	}
	left.queue = name
	return q, q.Chmod(wire.QueueMode)
}

// maxMessage returns msgsize_max of mq_overview(7), 0 where it cannot be read. Trying a larger size, or reading the
// file through package os, would each take 60 us.
func maxMessage() int {
	fd, err := unix.Open("/proc/sys/fs/mqueue/msgsize_max", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var text [32]byte
	n, _ := unix.Read(fd, text[:])
	size, _ := strconv.Atoi(strings.TrimSpace(string(text[:max(n, 0)])))
	return size
}
