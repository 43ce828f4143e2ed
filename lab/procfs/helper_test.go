package procfs_test

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
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
)

var proc = procfs.New("/proc")

// helperEnv names the part that this test binary plays when it is started as a subject of the tests.
const helperEnv = "PROCFS_TEST_HELPER"

var helpers = map[string]func(args []string) error{
	"wait":    func([]string) error { return nil },
	"comm":    helperComm,
	"umask":   func([]string) error { unix.Umask(0o27); return nil },
	"threads": helperThreads,
	"lock":    helperLock,
	"flock":   helperFlock,
}

// init keeps a helper's main goroutine on the thread-group leader.
func init() {
	if os.Getenv(helperEnv) != "" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	helper := helpers[os.Getenv(helperEnv)]
	if helper == nil {
		os.Exit(m.Run())
	}
	if err := helper(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(os.Getpid())
	io.Copy(io.Discard, os.Stdin)
}

// subject is a process to look at. It ends when its standard input does.
type subject struct {
	procfs.Process
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

// helper returns the command that plays a part of this binary.
func helper(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = []string{helperEnv + "=" + name, "GORACE=atexit_sleep_ms=0"} // else it ends a second late
	return cmd
}

// wait waits for the end of the subject and so removes it from /proc.
func (s subject) wait(t *testing.T) {
	t.Helper()
	must(t, s.cmd.Wait())
}

// end lets the subject end, without waiting for it: it stays a zombie.
func (s subject) end(t *testing.T) {
	t.Helper()
	s.stdin.Close()
	var info unix.Siginfo
	must(t, unix.Waitid(unix.P_PID, s.PID(), &info, unix.WEXITED|unix.WNOWAIT, nil))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// refused checks that err is a ParseError of the file and line.
func refused(t testing.TB, err error, file string, line int) {
	t.Helper()
	var pe *procfs.ParseError
	if !errors.As(err, &pe) {
		t.Fatalf("got error %v, want a ParseError", err)
	}
	if pe.File != file || pe.Line != line {
		t.Errorf("error %q is of %s line %d, want %s line %d", err, pe.File, pe.Line, file, line)
	}
}

// onThread runs f on a thread that ends with the test binary's helper.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
		select {}
	}()
	return <-done
}
