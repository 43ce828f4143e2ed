package mq_test

import (
	"math"
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
