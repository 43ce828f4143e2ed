package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

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

// A reply queue is called "/mqfile-PID-RANDOM.locked". The end of the name promises that the queue is locked for as
// long as the client lives, see removeOrphan.
const (
	replyPrefix = "mqfile-"
	replySuffix = ".locked"
)

func replyName() string { return "/" + uniqueName() + replySuffix }

// uniqueName is a name that nobody can guess, hence neither take beforehand nor, if it is a queue's, send to. The PID
// tells a person whose it is.
func uniqueName() string {
	var random [12]byte
	if _, err := unix.Getrandom(random[:], 0); err != nil { // no crypto/rand: its first use takes 100 us
		panic(err) // documented only for arguments that are wrong
	}
	return replyPrefix + strconv.Itoa(os.Getpid()) + "-" + hex.EncodeToString(random[:])
}

// replyMaker makes the queue for the responses, of the best shape that this client may have.
type replyMaker struct {
	name   string
	server *mq.Blocking
	left   *leftovers
	shapes []shape // best first
	swept  bool    // has looked for orphans
}

// makeReply waits for room as long as it may. It returns the queue and its message size.
func makeReply(name string, server *mq.Blocking, wait time.Duration, left *leftovers) (*mq.Blocking, int, error) {
	deepest, largest := systemLimit("msg_max", bestDepth), systemLimit("msgsize_max", usualSize)
	if largest < wire.MinMsgSize {
		return nil, 0, fmt.Errorf("no reply queue: the system allows messages of %d bytes (msgsize_max), a server needs %d",
			largest, wire.MinMsgSize)
	}
	limit, err := queueLimit()
	if err != nil {
		return nil, 0, err
	}
	m := &replyMaker{name: name, server: server, left: left}
	m.shapes = shapesWithin(share(takePlace(server), limit), min(deepest, bestDepth), min(largest, bestSize))
	q, size, err := m.make()
	if noRoom(err) {
		q, size, err = m.waitForRoom(wait, limit, err)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("no reply queue: %w", err)
	}
	return q, size, nil
}

// make takes the best shape that there is room for. To be refused is unusual even among many clients, who share what
// there is, so it is the moment to look for what killed ones have left.
func (m *replyMaker) make() (q *mq.Blocking, size int, err error) {
	for _, s := range m.shapes {
		q, err = m.makeOf(s)
		if noRoom(err) && !m.swept {
			m.swept = true
			if removeOrphans(m.server) > 0 {
				q, err = m.makeOf(s)
			}
		}
		if err == nil || !tooMuch(err) {
			return q, s.size, err
		}
	}
	return nil, 0, err
}

// makeOf creates the queue, locks it and then lets any server send to it, whatever the umask says. When it was taken for
// an orphan's in the instant before it was locked, it is made once more.
func (m *replyMaker) makeOf(s shape) (*mq.Blocking, error) {
	for {
		q, err := m.create(s)
		if err != nil {
			return nil, err
		}
		if err = lockQueue(q, unix.LOCK_EX); err == nil {
			err = q.Chmod(wire.QueueMode)
		}
		if err == nil {
			return q, nil
		}
		q.Close()
		if !errors.Is(err, errUnlinked) {
			return nil, err
		}
	}
}

func (m *replyMaker) create(s shape) (q *mq.Blocking, err error) {
	err = m.left.makeQueue(m.name, func() (err error) {
		attr := &mq.Attr{MaxMsg: s.depth, MsgSize: s.size}
		q, err = mq.OpenBlocking(m.name, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o600, attr)
		return err
	})
	return q, err
}

// tooMuch tells whether a smaller queue may be had. EMFILE: RLIMIT_MSGQUEUE, which all queues of this user share.
// EINVAL: msg_max or msgsize_max, where they could not be read.
func tooMuch(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.EINVAL) }

// noRoom tells whether a queue may be had when others have gone. ENOSPC: queues_max.
func noRoom(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENOSPC) }

// systemLimit reads one of the limits of mq_overview(7), with bare system calls: [mq.SystemLimits], which reads all of
// them, takes 50 us more. Where it cannot be read the kernel's default is the best guess.
func systemLimit(name string, usual int) int {
	fd, err := unix.Open("/proc/sys/fs/mqueue/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return usual
	}
	defer unix.Close(fd)
	var text [32]byte
	n, _ := unix.Read(fd, text[:])
	value, err := strconv.Atoi(strings.TrimSpace(string(text[:max(n, 0)])))
	if err != nil {
		return usual
	}
	return value
}
