//lab:omit

package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

// More than this gains nothing: with ten messages in the queue neither side has to wait for the other, and copying
// 64 KiB costs far more than the system call around it.
const (
	bestDepth = 10
	bestSize  = 64 << 10
	usualSize = 8192 // what msgsize_max is unless somebody changed it
)

// replyName is a name for a queue that nobody can guess, hence neither take beforehand nor send to. The PID tells a
// person whose it is.
func replyName() string {
	var random [12]byte
	if _, err := unix.Getrandom(random[:], 0); err != nil { // no crypto/rand: its first use takes 100 us
		panic(err) // documented only for arguments that are wrong
	}
	return "/mqfile-" + strconv.Itoa(os.Getpid()) + "-" + hex.EncodeToString(random[:])
}

// makeReply makes the queue for the responses, of the best shape that can be had, and returns its message size.
func makeReply(name string, left *leftovers) (*mq.Blocking, int, error) {
	best := shape{bestDepth, min(msgSizeMax(), bestSize)}
	if best.size < wire.MinMsgSize {
		return nil, 0, fmt.Errorf("no reply queue: the system allows messages of %d bytes (msgsize_max), a server needs %d",
			best.size, wire.MinMsgSize)
	}
	q, err := best.make(name, left)
	if err == nil {
		return q, best.size, nil
	}
	if !tooMuch(err) {
		return nil, 0, fmt.Errorf("no reply queue: %w", err)
	}
	return makeSmaller(name, left)
}

// makeSmaller tries the shapes that the limits in force may leave room for.
func makeSmaller(name string, left *leftovers) (*mq.Blocking, int, error) {
	limits, err := mq.SystemLimits()
	if err != nil {
		return nil, 0, err
	}
	for _, s := range shapes(limits) {
		var q *mq.Blocking
		if q, err = s.make(name, left); err == nil {
			return q, s.size, nil
		}
		if !tooMuch(err) {
			break
		}
	}
	return nil, 0, fmt.Errorf("no room for a reply queue: %w", err)
}

// tooMuch tells whether a smaller queue may be had. EMFILE: RLIMIT_MSGQUEUE, which all queues of this user share.
// EINVAL: msg_max or msgsize_max.
func tooMuch(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.EINVAL) }

// msgSizeMax is the one limit that the best shape depends on. Reading just this one, and with bare system calls, takes
// 50 us less than [mq.SystemLimits]. Where it cannot be read the kernel's default is the best guess.
func msgSizeMax() int {
	fd, err := unix.Open("/proc/sys/fs/mqueue/msgsize_max", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return usualSize
	}
	defer unix.Close(fd)
	var text [32]byte
	n, _ := unix.Read(fd, text[:])
	size, err := strconv.Atoi(strings.TrimSpace(string(text[:max(n, 0)])))
	if err != nil {
		return usualSize
	}
	return size
}

// shape is the form of a queue: how many messages it holds, and of how many bytes.
type shape struct{ depth, size int }

// shapes are those worth trying within msg_max and msgsize_max, best and dearest first. Size comes before depth: half
// the size costs more speed than half the depth.
func shapes(l mq.Limits) []shape {
	deepest, largest := min(l.MsgMax, bestDepth), min(l.MsgSizeMax, bestSize)
	var all []shape
	add := func(depth, size int) {
		s := shape{min(depth, deepest), min(size, largest)}
		if len(all) == 0 || mq.Cost(s.depth, s.size) < all[len(all)-1].cost() {
			all = append(all, s)
		}
	}
	for _, size := range []int{largest, usualSize} {
		add(bestDepth, size)
		add(4, size)
		add(2, size)
	}
	for size := 4096; size >= wire.MinMsgSize; size /= 2 {
		add(2, size)
	}
	add(1, wire.MinMsgSize)
	return all
}

func (s shape) cost() uint64 { return mq.Cost(s.depth, s.size) }

// make creates the queue and lets any server send to it, whatever the umask says.
func (s shape) make(name string, left *leftovers) (*mq.Blocking, error) {
	var q *mq.Blocking
	err := left.makeQueue(name, func() (err error) {
		attr := &mq.Attr{MaxMsg: s.depth, MsgSize: s.size}
		q, err = mq.OpenBlocking(name, os.O_CREATE|os.O_EXCL|os.O_RDONLY, wire.QueueMode, attr)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := q.Chmod(wire.QueueMode); err != nil {
		return nil, err
	}
	return q, nil
}
