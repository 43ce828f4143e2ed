//go:build linux

package mq

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Sigev is a notification method: sigev_notify of sigevent(7), as the kernel keeps it.
type Sigev int

const (
	SigevSignal Sigev = 0
	SigevNone   Sigev = 1
	SigevThread Sigev = 2
)

// Status is the line that a queue's file in mqueuefs holds; see mq_overview(7).
type Status struct {
	QSize     uint64 // bytes of all messages in the queue, not their number
	Notify    Sigev  // SigevSignal also if nobody is registered
	Signo     int    // the signal, with SigevSignal
	NotifyPID int    // the registered process; 0 for none, or for one outside this PID namespace
}

// Registered reports whether a process is registered for notification. It misses one with SigevSignal outside this PID
// namespace.
func (s Status) Registered() bool { return s.NotifyPID != 0 || s.Notify != SigevSignal }

// ParseStatus parses the line of a queue's file in mqueuefs and rejects anything the kernel would not write.
func ParseStatus(line string) (Status, error) {
	var s Status
	fmt.Sscanf(line, "QSIZE:%d NOTIFY:%d SIGNO:%d NOTIFY_PID:%d", &s.QSize, &s.Notify, &s.Signo, &s.NotifyPID)
	again := fmt.Sprintf("QSIZE:%d NOTIFY:%d SIGNO:%d NOTIFY_PID:%d", s.QSize, s.Notify, s.Signo, s.NotifyPID)
	body, whole := strings.CutSuffix(line, "\n")
	if !whole || strings.Join(strings.Fields(body), " ") != again || min(int(s.Notify), s.Signo, s.NotifyPID) < 0 {
		return Status{}, fmt.Errorf("status line %q is not like %q", line, again+"\n")
	}
	return s, nil
}

func readStatus(fd int) (Status, error) {
	var buf [128]byte // the kernel's FILENT_SIZE is 80
	n, err := unix.Pread(fd, buf[:], 0)
	if err != nil {
		return Status{}, err
	}
	return ParseStatus(string(buf[:n]))
}
