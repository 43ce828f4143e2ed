package procfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var proc = New("/proc")

// helperEnv has this test binary be a subject of the tests, which may be called as its argument says. Its umask is 027,
// and one of its threads blocks SIGUSR1.
const helperEnv = "PROCFS_TEST_HELPER"

// init keeps a helper's main goroutine on the thread-group leader.
func init() {
	if os.Getenv(helperEnv) != "" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) == "" {
		os.Exit(m.Run())
	}
	unix.Umask(0o27)
	blocked := make(chan error)
	go func() {
		runtime.LockOSThread()
		set := unix.Sigset_t{}
		set.Val[0] = uint64(NewSignalSet(syscall.SIGUSR1))
		blocked <- unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil)
		select {}
	}()
	err := <-blocked
	if len(os.Args) > 1 {
		err = errors.Join(err, os.WriteFile("/proc/self/comm", []byte(os.Args[1]), 0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(os.Getpid())
	io.Copy(io.Discard, os.Stdin)
}

// subject is a process to look at. It ends when its standard input does.
type subject struct {
	Process
	cmd   *exec.Cmd
	stdin io.Closer
}

// start runs cmd, which prints the PID to look at when it is ready.
func start(t *testing.T, cmd *exec.Cmd) subject {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	must(t, err)
	return subject{proc.Process(pid), cmd, stdin}
}

func helper(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = []string{helperEnv + "=1", "GORACE=atexit_sleep_ms=0"} // else it ends a second late
	return cmd
}

// end lets the subject end, without waiting for it: it stays a zombie.
func (s subject) end(t *testing.T) {
	t.Helper()
	s.stdin.Close()
	must(t, unix.Waitid(unix.P_PID, s.PID(), nil, unix.WEXITED|unix.WNOWAIT, nil))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// refused checks that a text is refused, with an error that says where it is wrong.
func refused[T any](t *testing.T, parse func(string) (T, error), text, where string) {
	t.Helper()
	if v, err := parse(text); err == nil || !strings.Contains(err.Error(), where) {
		t.Errorf("%q: got %v, %v, want an error of %s", text, v, err, where)
	}
}
