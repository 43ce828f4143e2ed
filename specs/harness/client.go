package harness

import (
	"context"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// Running is a running client program.
type Running struct {
	Args   []string
	PID    int
	cmd    *exec.Cmd
	stdout capped
	stderr capped
}

// Ended is how a client program ended.
type Ended struct {
	Args   []string
	Exit   int  // status, or 128 plus the signal's number
	Cut    bool // it still ran, and Wait sent SIGTERM
	Stdout []byte
	Stderr string
}

func (e Ended) Text() rubric.Text {
	if e.Cut {
		return finding.Say("it still ran and was sent SIGTERM: exit status %d, %d bytes on stdout, stderr: %.500q", e.Exit,
			len(e.Stdout), e.Stderr)
	}
	return finding.Say("exit status %d, %d bytes on stdout, stderr: %.500q", e.Exit, len(e.Stdout), e.Stderr)
}

func (e Ended) String() string { return e.Text().EN }

// StartClient starts the client under test, with a file as stdout unless that is nil.
func (p Programs) StartClient(stdout *os.File, args ...string) (*Running, error) {
	return p.StartClientIn("", stdout, args...)
}

// StartClientIn starts the client in a directory.
func (p Programs) StartClientIn(dir string, stdout *os.File, args ...string) (*Running, error) {
	cmd, err := p.Command(Setting{Cwd: dir}, p.Client, args...)
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

func (r *Running) Signal(sig unix.Signal) error {
	return r.cmd.Process.Signal(sig)
}

// Wait waits until the client has ended. If ctx is done first, it ends the client with SIGTERM, so that it can remove
// its queue, and soon after with SIGKILL. A queue left behind is removed: it would use its user's budget for ever.
func (r *Running) Wait(ctx context.Context) Ended {
	var left []string
	cut, told := false, make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		ended, err := proc.Process(r.PID).Ended()
		cut = err == nil && !ended
		left = r.Queues()
		r.cmd.Process.Signal(unix.SIGTERM)
		AfterFunc(Slack, func() { r.cmd.Process.Kill() })
	})
	waitForOwn(r.cmd)
	if !stop() {
		<-told
		for _, name := range left {
			mq.Unlink(name)
		}
	}
	return Ended{Args: r.Args, Exit: tool.ExitStatus(r.cmd.ProcessState), Cut: cut, Stdout: r.stdout,
		Stderr: strings.ToValidUTF8(string(r.stderr), "?")}
}

// End ends the client.
func (r *Running) End() Ended {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return r.Wait(ctx)
}

// Queues returns the queues that the client has open for receiving.
func (r *Running) Queues() (names []string) {
	fds, _ := proc.Process(r.PID).Descriptors()
	for _, fd := range fds {
		name, gone := strings.CutSuffix(fd.Target, " (deleted)")
		if !gone && strings.LastIndexByte(name, '/') == 0 && fd.Flags&unix.O_ACCMODE != unix.O_WRONLY {
			names = append(names, name)
		}
	}
	return names
}
