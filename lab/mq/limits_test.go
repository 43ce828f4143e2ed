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
