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
func start(t *testing.T) (p *pidfd.Process, kill func()) {
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
	p, err := pidfd.Open(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, kill
}

func TestWaitEnds(t *testing.T) {
	for want, end := range map[error]func(p *pidfd.Process, kill, cancel func()){
		nil:              func(_ *pidfd.Process, kill, _ func()) { kill() },
		context.Canceled: func(_ *pidfd.Process, _, cancel func()) { cancel() },
		os.ErrClosed:     func(p *pidfd.Process, _, _ func()) { p.Close() },
	} {
		p, kill := start(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- p.Wait(ctx) }()
		end(p, kill, cancel)
		if err := <-ended; !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestAfterItsContextHasEndedWaitWorksAgain(t *testing.T) {
	p, _ := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := p.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAReapedProcessIsGone(t *testing.T) {
	p, kill := start(t)
	kill()
	if err := p.Signal(unix.SIGTERM); !errors.Is(err, unix.ESRCH) {
		t.Errorf("signal: %v", err)
	}
	if _, err := pidfd.Open(p.PID()); !errors.Is(err, unix.ESRCH) {
		t.Errorf("open: %v", err)
	}
}
