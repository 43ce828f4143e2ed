package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
)

// startAs is the variable that makes an original process of this test program, for what cannot be done to the process
// of the tests: "daemon"; "child" starts a child that starts the daemon; and a number is that of a resource, whose
// limit the variable limit has.
const (
	startAs = "DAEMON_TEST_START_AS"
	limit   = "DAEMON_TEST_LIMIT"
)

// startApart is the original process, to its end.
func startApart(as string) (status int) {
	if as == "child" {
		cmd := apart("daemon")
		cmd.Stderr = os.Stderr
		cmd.Run()
		return cmd.ProcessState.ExitCode()
	}
	if resource, err := strconv.Atoi(as); err == nil {
		value, _ := strconv.ParseUint(os.Getenv(limit), 10, 64)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			fmt.Fprintln(os.Stderr, "setrlimit:", err)
			return 1
		}
	}
	if err := daemon.Start(daemon.Options{Config: order{}}); err != nil {
		fmt.Fprintln(os.Stderr, "apart:", err)
		return 1
	}
	return 0
}

func apart(as string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(append(os.Environ(), startAs+"="+as), env...)
	return cmd
}

// run returns what the original process says, after the end of the daemon that it may have started.
func run(t *testing.T, cmd *exec.Cmd) (said string, err error) {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Skip("the process cannot be started: ", err)
	}
	if pid := adopted(t, err); pid != 0 {
		kill(pid)
		if err != nil {
			t.Errorf("PID %d is left", pid)
		}
	}
	return stderr.String(), err
}

func TestInAPIDNamespace(t *testing.T) {
	for as, want := range map[string]string{
		"daemon": "apart: PID 1 cannot start a daemon: when it exits, the kernel kills its whole PID namespace\n",
		"child":  "apart: /proc is not of this PID namespace: ",
	} {
		cmd := apart(as)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
		if os.Geteuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		}
		said, err := run(t, cmd)
		if !strings.HasPrefix(said, want) || strings.Count(said, "\n") != 1 || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("as %s: %v, %q", as, err, said)
		}
	}
}

func TestWithLittleRoomAStartFailsInOneLine(t *testing.T) {
	t.Run("descriptors", func(t *testing.T) {
		withLimits(t, unix.RLIMIT_NOFILE, 3, 20, nil)
	})
	t.Run("threads", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can become a user without other processes")
		}
		if raceDetector() {
			t.Skip("the race detector aborts a process that it cannot give a thread")
		}
		alone := uint32(100_000 + os.Getpid())
		withLimits(t, unix.RLIMIT_NPROC, 1, 20, &syscall.Credential{Uid: alone, Gid: alone})
	})
}

// withLimits starts daemons with ever more of a resource: until there is enough, each start fails.
func withLimits(t *testing.T, resource, from, to int, as *syscall.Credential) {
	started := 0
	for value := from; value <= to; value++ {
		cmd := apart(strconv.Itoa(resource), fmt.Sprintf("%s=%d", limit, value))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		said, err := run(t, cmd)
		if err == nil && said == "" {
			started++
			continue
		}
		t.Logf("%d: %s", value, strings.TrimSuffix(said, "\n"))
		if !strings.HasPrefix(said, "apart: ") || strings.Count(said, "\n") != 1 || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("with a limit of %d: %v, %q", value, err, said)
		}
	}
	if started == 0 {
		t.Errorf("no daemon with a limit of %d", to)
	}
}
