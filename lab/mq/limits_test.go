//go:build linux

package mq_test

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

func isErrno(err error, errno unix.Errno) bool { return errors.Is(err, errno) }

func TestSystemLimits(t *testing.T) {
	l, err := mq.SystemLimits()
	must(t, err)
	if l.MsgMax < 1 || l.MsgSizeMax < 128 || l.QueuesMax < 0 || l.MsgDefault < 1 || l.MsgSizeDefault < 128 {
		t.Fatalf("no such limits: %+v", l)
	}
}

func TestCost(t *testing.T) {
	for _, c := range []struct {
		maxMsg, msgSize int
		want            uint64
	}{
		{10, 8192, 82880}, {1, 1, 97}, {7, 100, 1372}, {0, 1, 0}, {1, -1, 0},
		{65536, 1, 65536*49 + 32768*48},
		{math.MaxInt, math.MaxInt, math.MaxUint64},
	} {
		if c.maxMsg == math.MaxInt && bits.UintSize == 32 { // no overflow
			continue
		}
		if got := mq.Cost(c.maxMsg, c.msgSize); got != c.want {
			t.Errorf("Cost(%d, %d) = %d, want %d", c.maxMsg, c.msgSize, got, c.want)
		}
	}
}

// What uname(2) says of the machine, and whose words the kernel counts.
func TestKernelWord(t *testing.T) {
	for machine, want := range map[string]int{
		"x86_64": 8, "aarch64": 8, "aarch64_be": 8, "armv8l": 8, "ppc64le": 8, "s390x": 8, "riscv64": 8, "mips64": 8,
		"i686": 4, "armv7l": 4, "armv6l": 4, "ppc": 4, "mips": 4, "s390": 4, "riscv32": 4,
	} {
		if got := mq.WordOf(machine); got != want {
			t.Errorf("%s: %d bytes, want %d", machine, got, want)
		}
	}
}

func TestCostFor32BitProcessIsThe64BitKernels(t *testing.T) {
	if testing.Short() || runtime.GOARCH != "amd64" {
		t.Skip("builds a program for 386, to run on amd64; not with -short")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no Go tool")
	}
	program := filepath.Join(t.TempDir(), "cost")
	build := exec.Command(tool, "build", "-o", program, "./testdata/cost")
	build.Env = append(os.Environ(), "GOARCH=386", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program).CombinedOutput()
	if errors.Is(err, unix.ENOEXEC) {
		t.Skip("this kernel runs no 32-bit program")
	}
	if want := fmt.Sprint(mq.Cost(1, 1)); err != nil || string(out) != want {
		t.Fatalf("%s, %v; to this process %s", out, err, want)
	}
}

func TestCostIsTheKernelsToTheByte(t *testing.T) { alone(t, "meet RLIMIT_MSGQUEUE") }

func init() {
	parts["meet RLIMIT_MSGQUEUE"] = func([]string) error {
		for _, a := range []mq.Attr{{MaxMsg: 1, MsgSize: 1}, {MaxMsg: 7, MsgSize: 100}, {MaxMsg: 10, MsgSize: 500}} {
			cost := mq.Cost(a.MaxMsg, a.MsgSize)
			if err := limitBytes(cost); err != nil {
				return err
			}
			q, err := create("/cost", &a)
			if err != nil {
				return err
			}
			if err := errors.Join(mq.Unlink("/cost"), q.Close(), limitBytes(cost-1)); err != nil {
				return err
			}
			_, err = mq.Open("/cost", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &a)
			for _, figure := range []string{fmt.Sprint(cost), fmt.Sprint(cost - 1), "RLIMIT_MSGQUEUE"} {
				if !isErrno(err, unix.EMFILE) || !strings.Contains(err.Error(), figure) {
					return fmt.Errorf("%+v with %d bytes: %w", a, cost-1, err)
				}
			}
		}
		return nil
	}
}

func limitBytes(n uint64) error {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &old); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Cur: n, Max: old.Max})
}

func TestQueuesMax(t *testing.T) { alone(t, "meet queues_max") }

func init() {
	parts["meet queues_max"] = func([]string) error {
		if err := os.WriteFile("/proc/sys/fs/mqueue/queues_max", []byte("1"), 0); err != nil {
			return err
		}
		q, err := create("/one", &mq.Attr{MaxMsg: 1, MsgSize: 1})
		if err != nil {
			return err
		}
		defer q.Close()
		_, err = mq.Open("/two", os.O_RDWR|os.O_CREATE, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 1})
		if !isErrno(err, unix.ENOSPC) || !strings.Contains(err.Error(), "queues_max 1") {
			return fmt.Errorf("the second queue: %w", err)
		}
		return nil
	}
}

func TestDescriptorsUsedUp(t *testing.T) { perform(t, actor("meet RLIMIT_NOFILE")) }

func init() {
	parts["meet RLIMIT_NOFILE"] = func([]string) error {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: 3}); err != nil {
			return err
		}
		_, err := mq.Open(newName(), os.O_RDWR|os.O_CREATE, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 1})
		if !isErrno(err, unix.EMFILE) || !strings.Contains(err.Error(), "RLIMIT_NOFILE 3") {
			return fmt.Errorf("open: %w", err)
		}
		return nil
	}
}

func TestStatusLine(t *testing.T) {
	q := newQueue(t, 4, 16)
	must(t, q.TrySend(nil, 0), q.TrySend([]byte("five!"), 0))
	s, err := q.Status()
	if want := (mq.Status{QSize: 5}); err != nil || s != want { // bytes, not messages
		t.Fatalf("got %+v, %v", s, err)
	}
	w, err := mq.Open(q.Name(), os.O_WRONLY, 0, nil)
	must(t, err)
	defer w.Close()
	_, err = w.Status()
	wantError(t, err, unix.EBADF)
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
		"QSIZE:1 NOTIFY:0 SIGNO:0 NOTIFY_PID:0 MORE:0\n", "QSIZE:99999999999999999999 NOTIFY:0 SIGNO:0 NOTIFY_PID:0\n",
	} {
		if s, err := mq.ParseStatus(line); err == nil || s != (mq.Status{}) {
			t.Errorf("%q: got %+v, %v", line, s, err)
		}
	}
}

func TestLayoutOfTheKernelsStructures(t *testing.T) {
	for what, v := range mq.Layouts {
		if v[0] != v[1] {
			t.Errorf("%s: %d, want %d", what, v[0], v[1])
		}
	}
}
