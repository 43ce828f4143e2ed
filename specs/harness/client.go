package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// Running is a client program that runs.
type Running struct {
	Args   []string
	PID    int
	cmd    *exec.Cmd
	stdout capped
	stderr capped
}

// Ended is how a client program has ended.
type Ended struct {
	Args   []string
	Exit   int // status, or 128 plus the signal's number
	Stdout []byte
	Stderr string
}

func (e Ended) String() string {
	return fmt.Sprintf("exit status %d, %d bytes on stdout, stderr: %.1000q", e.Exit, len(e.Stdout), e.Stderr)
}

// StartClient starts the client under test.
func (p Programs) StartClient(args ...string) (*Running, error) {
	return p.startClient(nil, args)
}

func (p Programs) startClient(stdout *os.File, args []string) (*Running, error) {
	cmd, err := p.Command(Setting{}, p.Client, args...)
	if err != nil {
		return nil, err
	}
	r := &Running{Args: args, cmd: cmd}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	if stdout != nil {
		r.cmd.Stdout = stdout
	}
	r.cmd.WaitDelay = Stretched(Patience)
	if err := startOwn(r.cmd); err != nil {
		return nil, err
	}
	r.PID = r.cmd.Process.Pid
	return r, nil
}

// StartClientTo starts it with a file as stdout.
func (p Programs) StartClientTo(stdout *os.File, args ...string) (*Running, error) {
	return p.startClient(stdout, args)
}

// Signal sends a signal to the client.
func (r *Running) Signal(sig unix.Signal) error {
	return r.cmd.Process.Signal(sig)
}

// Wait waits until the client has ended. When ctx ends first it is ended: by SIGTERM, so that it can remove its queue,
// and soon by SIGKILL.
func (r *Running) Wait(ctx context.Context) Ended {
	stop := context.AfterFunc(ctx, func() {
		r.cmd.Process.Signal(unix.SIGTERM)
		AfterFunc(Slack, func() { r.cmd.Process.Kill() })
	})
	defer stop()
	waitForOwn(r.cmd)
	return Ended{Args: r.Args, Exit: exitCode(r.cmd), Stdout: r.stdout,
		Stderr: strings.ToValidUTF8(string(r.stderr), "?")}
}
