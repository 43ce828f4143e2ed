//go:build linux

package mq_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

func TestCost(t *testing.T) {
	for _, c := range []struct {
		maxMsg, msgSize int
		want            uint64
	}{
		{10, 8192, 82880}, {1, 1, 97}, {7, 100, 1372}, {0, 1, 0}, {1, -1, 0},
		{65536, 1, 65536*49 + 32768*48},
		{math.MaxInt, math.MaxInt, math.MaxUint64},
	} {
		if got := mq.Cost(c.maxMsg, c.msgSize); got != c.want {
			t.Errorf("Cost(%d, %d) = %d, want %d", c.maxMsg, c.msgSize, got, c.want)
		}
	}
}

func limit(resource int, n uint64) error {
	var old unix.Rlimit
	if err := unix.Getrlimit(resource, &old); err != nil {
		return err
	}
	return unix.Setrlimit(resource, &unix.Rlimit{Cur: n, Max: old.Max})
}

func TestLimitsAreToldWithTheirFigures(t *testing.T) { perform(t, alone(actor("meet the limits"))) }

func init() {
	parts["meet the limits"] = func([]string) error {
		one := &mq.Attr{MaxMsg: 1, MsgSize: 1}
		for _, c := range []struct {
			text  string
			errno unix.Errno
			set   func() error
		}{
			{"cost 97 of the 96 bytes", unix.EMFILE, func() error { return limit(unix.RLIMIT_MSGQUEUE, mq.Cost(1, 1)-1) }},
			{"(queues_max 0)", unix.ENOSPC, func() error {
				return os.WriteFile("/proc/sys/fs/mqueue/queues_max", []byte("0"), 0)
			}},
			{"(RLIMIT_NOFILE 3)", unix.EMFILE, func() error { return limit(unix.RLIMIT_NOFILE, 3) }},
		} {
			if err := c.set(); err != nil {
				return err
			}
			_, err := mq.Open("/one", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, one)
			if !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.text) {
				return fmt.Errorf("open where %s: %w", c.text, err)
			}
		}
		return nil
	}
}

func TestParseStatus(t *testing.T) {
	s, err := mq.ParseStatus("QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260  \n")
	want := mq.Status{QSize: 129, Notify: mq.SigevThread, NotifyPID: 8260}
	if err != nil || s != want || !s.Registered() {
		t.Fatalf("got %+v, %v", s, err)
	}
	for _, line := range []string{
		"", "\n", "QSIZE:1 NOTIFY:0 SIGNO:0 NOTIFY_PID:0", "QSIZE:1 NOTIFY:0 SIGNO:0\n",
		"QSIZE:-1 NOTIFY:0 SIGNO:0 NOTIFY_PID:0\n",
		"QSIZE:1 NOTIFY:-1 SIGNO:0 NOTIFY_PID:0\n", "QSIZE:01 NOTIFY:0 SIGNO:0 NOTIFY_PID:0\n",
		"QSIZE:+1 NOTIFY:0 SIGNO:0 NOTIFY_PID:0\n", "QSIZE:1_0 NOTIFY:0 SIGNO:0 NOTIFY_PID:0\n",
		"QSIZE:1 NOTIFY:0 SIGNO:0 NOTIFY_PID:0\nQSIZE:1\n",
		"QSIZE:1 NOTIFY:0 SIGNO:0 NOTIFY_PID:0 MORE:0\n", "QSIZE:99999999999999999999 NOTIFY:0 SIGNO:0 NOTIFY_PID:0\n",
	} {
		if s, err := mq.ParseStatus(line); err == nil || s != (mq.Status{}) {
			t.Errorf("%q: got %+v, %v", line, s, err)
		}
	}
}
