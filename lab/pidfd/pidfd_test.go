package pidfd_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/pidfd"
)

// start runs a process that lives until the returned function has killed and reaped it.
func start(t *testing.T) (pid int, kill func()) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Cleanup(kill)
	return cmd.Process.Pid, kill
}

func open(t *testing.T, pid int) *pidfd.Process {
	t.Helper()
	p, err := pidfd.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestWaitReturnsWhenTheProcessEnds(t *testing.T) {
	pid, kill := start(t)
	p := open(t, pid)
	ended := make(chan error, 1)
	go func() { ended <- p.Wait(t.Context()) }()
	kill()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	pid, kill := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	p := open(t, pid)
	go func() { ended <- p.Wait(ctx) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	kill()
	if err := p.Wait(t.Context()); err != nil {
		t.Errorf("a further Wait: %v", err)
	}
}

func TestCloseEndsWait(t *testing.T) {
	pid, _ := start(t)
	p := open(t, pid)
	ended := make(chan error, 1)
	go func() { ended <- p.Wait(t.Context()) }()
	p.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestSignalReachesTheProcess(t *testing.T) {
	pid, _ := start(t)
	p := open(t, pid)
	if err := p.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAReapedProcessIsGone(t *testing.T) {
	pid, kill := start(t)
	p := open(t, pid)
	kill()
	if err := p.Signal(unix.SIGTERM); !errors.Is(err, unix.ESRCH) {
		t.Errorf("signal: %v", err)
	}
	if _, err := pidfd.Open(pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("open: %v", err)
	}
}
