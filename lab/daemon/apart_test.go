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
	"daemonlab/lab/parts"
)

// Original processes, for what cannot be done to the test process.
func init() {
	original := func([]string) error {
		if err := daemon.Start(daemon.Options{Config: order{}}); err != nil {
			return fmt.Errorf("apart: %w", err)
		}
		return nil
	}
	parts.Add("original", original)
	parts.Add("child", func([]string) error { // starts a child that starts the daemon
		cmd := parts.Command("original")
		cmd.Stderr = os.Stderr
		cmd.Run()
		os.Exit(cmd.ProcessState.ExitCode())
		return nil
	})
	parts.Add("limited", func(args []string) error { // the number of a resource, and its limit
		resource, _ := strconv.Atoi(args[0])
		value, _ := strconv.ParseUint(args[1], 10, 64)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("setrlimit: %w", err)
		}
		return original(nil)
	})
}

// run returns what the original process prints, after ending the daemon that it may have started.
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
		"original": "apart: PID 1 cannot start a daemon: when it exits, the kernel kills its whole PID namespace\n",
		"child":    "apart: /proc belongs to another PID namespace: ",
	} {
		cmd := parts.Command(as)
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

func TestStartWithoutResourcesFailsInOneLine(t *testing.T) {
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

// withLimits starts daemons with more and more of a resource: each start fails until there is enough.
func withLimits(t *testing.T, resource, from, to int, as *syscall.Credential) {
	started := 0
	for value := from; value <= to; value++ {
		cmd := parts.Command("limited", strconv.Itoa(resource), strconv.Itoa(value))
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
