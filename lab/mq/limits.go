//go:build linux

package mq

import (
	"fmt"
	"math"
	"math/bits"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits are the limits in force for this process.
type Limits struct {
	MsgMax         int    // messages in a queue, for processes without CAP_SYS_RESOURCE (msg_max)
	MsgSizeMax     int    // bytes in a message, likewise (msgsize_max)
	QueuesMax      int    // queues in the IPC namespace, likewise (queues_max)
	MsgDefault     int    // messages in a queue made without attributes, if MsgMax allows
	MsgSizeDefault int    // bytes in a message of such a queue, if MsgSizeMax allows
	MsgQueueBytes  uint64 // total cost of this user's queues (RLIMIT_MSGQUEUE); see Cost
}

// SystemLimits reads /proc/sys/fs/mqueue and RLIMIT_MSGQUEUE.
func SystemLimits() (Limits, error) {
	var l Limits
	var err error
	if l.MsgQueueBytes, err = msgQueueBytes(); err != nil {
		return l, err
	}
	for name, value := range map[string]*int{
		"msg_max": &l.MsgMax, "msgsize_max": &l.MsgSizeMax, "queues_max": &l.QueuesMax,
		"msg_default": &l.MsgDefault, "msgsize_default": &l.MsgSizeDefault,
	} {
		if err := readNumber("/proc/sys/fs/mqueue/"+name, value); err != nil {
			return Limits{}, err
		}
	}
	return l, nil
}

func msgQueueBytes() (uint64, error) {
	var rlim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &rlim); err != nil {
		return 0, fmt.Errorf("RLIMIT_MSGQUEUE: %w", err)
	}
	return rlim.Cur, nil
}

func readNumber(file string, value *int) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	*value, err = strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// Cost is how many bytes a queue counts against RLIMIT_MSGQUEUE of the user who makes it, until its last descriptor is
// closed: the messages, a struct msg_msg for each, and a posix_msg_tree_node for each of at most 32768 priorities (the
// kernel's mqueue_get_inode). Each of the two structures is six words of a 64-bit kernel. Sizes that are not positive
// cost nothing, because the kernel rejects them.
func Cost(maxMsg, msgSize int) uint64 {
	const record = 6 * 8
	if maxMsg <= 0 || msgSize <= 0 {
		return 0
	}
	overflow, bytes := bits.Mul64(uint64(maxMsg), uint64(msgSize)+record)
	total, carry := bits.Add64(bytes, uint64(min(maxMsg, 32768))*record, 0)
	if overflow != 0 || carry != 0 {
		return math.MaxUint64
	}
	return total
}
