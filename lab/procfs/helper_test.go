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

	"daemonlab/lab/parts"
)

var proc = New("/proc")

// Keeps the main goroutine, which plays the helper, on the thread-group leader.
func init() {
	runtime.LockOSThread()
	parts.Add("helper", help)
}

func TestMain(m *testing.M) {
	parts.Play()
	os.Exit(m.Run())
}

// help is a process for the tests to read; its argument says what it calls. Its umask is 027, and one of its threads
// blocks SIGUSR1.
func help(args []string) error {
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
	if len(args) > 0 {
		err = errors.Join(err, os.WriteFile("/proc/self/comm", []byte(args[0]), 0))
	}
	if err == nil {
		fmt.Println(os.Getpid())
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	return err
}

// subject is a process to read. It ends at the end of its standard input.
type subject struct {
	Process
	cmd   *exec.Cmd
	stdin io.Closer
}

// start runs cmd, which prints the PID to read when it is ready.
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

func helper(args ...string) *exec.Cmd { return parts.Command("helper", args...) }

// end lets the subject end without reaping it: it stays a zombie.
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

// refused checks that a text is rejected with an error that says where it is wrong.
func refused[T any](t *testing.T, parse func(string) (T, error), text, where string) {
	t.Helper()
	if v, err := parse(text); err == nil || !strings.Contains(err.Error(), where) {
		t.Errorf("%q: got %v, %v, want an error of %s", text, v, err, where)
	}
}
