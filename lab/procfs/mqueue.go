package procfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Queue is what mqueuefs tells of a POSIX message queue (mq_overview(7)).
type Queue struct {
	QSize     uint64 // bytes in all messages queued
	Notify    NotifyMethod
	Signo     syscall.Signal // 0 unless Notify is NotifySignal
	NotifyPID int            // who is registered, 0 when nobody is
}

// NotifyMethod is a sigev_notify of mq_notify(3). It counts only when NotifyPID is not 0.
type NotifyMethod int

// The methods that Linux accepts.
const (
	NotifySignal NotifyMethod = 0
	NotifyNone   NotifyMethod = 1
	NotifyThread NotifyMethod = 2
)

func (m NotifyMethod) String() string {
	names := []string{"SIGEV_SIGNAL", "SIGEV_NONE", "SIGEV_THREAD"}
	if int(m) < 0 || int(m) >= len(names) {
		return strconv.Itoa(int(m))
	}
	return names[m]
}

// Registered reports whether a process is registered for notification.
func (q Queue) Registered() bool { return q.NotifyPID != 0 }

// String is the entry for people: `QSIZE:129 NOTIFY:2 (SIGEV_THREAD) SIGNO:0 NOTIFY_PID:8260`.
func (q Queue) String() string {
	return fmt.Sprintf("QSIZE:%d NOTIFY:%d (%v) SIGNO:%d NOTIFY_PID:%d",
		q.QSize, int(q.Notify), q.Notify, int(q.Signo), q.NotifyPID)
}

// ReadQueue reads the entry of the queue name ("/jobs") in the mqueuefs mounted at mount, usually /dev/mqueue.
//
// Never call it in the process that is registered for the queue's notification: closing the entry removes the
// registration, as closing any descriptor of the queue does.
func ReadQueue(mount, name string) (Queue, error) {
	base, err := baseName(name)
	if err != nil {
		return Queue{}, err
	}
	return load(filepath.Join(mount, base), ParseQueue)
}

// baseName keeps name inside the mount.
func baseName(name string) (string, error) {
	base, ok := strings.CutPrefix(name, "/")
	if !ok || base == "" || base == "." || base == ".." || strings.ContainsAny(base, "/\x00") {
		return "", fmt.Errorf("queue %q: %w", name, syscall.EINVAL)
	}
	return base, nil
}

// Queues lists the queues in the mqueuefs mounted at mount, each with its leading slash.
func Queues(mount string) ([]string, error) {
	entries, err := os.ReadDir(mount)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, "/"+e.Name())
	}
	return slices.Clip(names), err
}

// ParseQueue parses an entry, `QSIZE:129     NOTIFY:2    SIGNO:0    NOTIFY_PID:8260`.
func ParseQueue(r io.Reader) (Queue, error) {
	rows, err := table("mqueue", r, parseQueue)
	if err == nil && len(rows) != 1 {
		err = fileError("mqueue", errors.New("not one line"))
	}
	if err != nil {
		return Queue{}, err
	}
	return rows[0], nil
}

func parseQueue(line string) (Queue, error) {
	words := strings.Fields(line)
	keys := []string{"QSIZE:", "NOTIFY:", "SIGNO:", "NOTIFY_PID:"}
	if len(words) != len(keys) {
		return Queue{}, errFields
	}
	var values [4]uint64
	for i, key := range keys {
		digits, ok := strings.CutPrefix(words[i], key)
		if !ok {
			return Queue{}, fmt.Errorf("no %s", key)
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil {
			return Queue{}, err
		}
		values[i] = n
	}
	return Queue{values[0], NotifyMethod(values[1]), syscall.Signal(values[2]), int(values[3])}, nil
}
