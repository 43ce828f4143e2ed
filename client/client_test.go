package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/harness"
)

// enough is how long anything may take that should happen at once, or after the client's own 10 s.
const enough = 30 * time.Second

// client is a running mqfile.
type client struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	spare          func() // keeps the client from being killed after enough
	killed         atomic.Bool
}

// result is how it ended.
type result struct {
	code           int // -1 when a signal killed it
	stdout, stderr string
}

// command prepares a run of the program on the server's queue; the caller may change it before start.
func (s *server) command(args ...string) *client {
	return prepare(s.t, append([]string{"--queue", s.name}, args...)...)
}

// fetch starts the program on the server's queue.
func (s *server) fetch(args ...string) *client { return s.command(args...).start() }

func prepare(t *testing.T, args ...string) *client {
	c := &client{t: t, cmd: exec.Command(mqfile, args...)}
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	return c
}

// under makes a shell set something up before it becomes the program.
func (c *client) under(script string) *client {
	shell := exec.Command("/bin/sh", append([]string{"-c", script + `; exec "$0" "$@"`}, c.cmd.Args...)...)
	shell.Stdout, shell.Stderr, shell.Dir = c.cmd.Stdout, c.cmd.Stderr, c.cmd.Dir
	c.cmd = shell
	return c
}

func (c *client) start() *client {
	c.t.Helper()
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.spare = harness.AfterFunc(enough, func() {
		c.killed.Store(true)
		c.cmd.Process.Kill()
	})
	c.t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			c.cmd.Process.Kill()
			c.cmd.Wait()
		}
	})
	return c
}

// lines reads what a client writes while it runs.
type lines struct {
	t *testing.T
	*bufio.Reader
}

// pipeStderr is for a client whose stderr is read before it ends.
func (c *client) pipeStderr() lines {
	c.t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		in.Close()
		out.Close()
	})
	c.cmd.Stderr = in
	return lines{c.t, bufio.NewReader(out)}
}

// expect reads the next line. In it QUEUE stands for a reply queue.
func (l lines) expect(want string) {
	l.t.Helper()
	line, err := l.ReadString('\n')
	if err != nil {
		l.t.Fatal(err)
	}
	if got := replyQueue.ReplaceAllString(line, "QUEUE"); got != want {
		l.t.Errorf("stderr %q, expected %q", got, want)
	}
}

var replyQueue = regexp.MustCompile(`queue /mqfile-[^:]*`)

func (c *client) signal(sig os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) wait() result {
	c.t.Helper()
	if err := c.cmd.Wait(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			c.t.Fatal(err)
		}
	}
	c.spare()
	if c.killed.Load() {
		c.t.Fatalf("%v did not end in %v; stderr: %s", c.cmd.Args, enough, &c.stderr)
	}
	return result{c.cmd.ProcessState.ExitCode(), c.stdout.String(), c.stderr.String()}
}

// run is start and wait.
func (c *client) run() result {
	c.t.Helper()
	return c.start().wait()
}

// expect checks exit status and stderr, each whole.
func (r result) expect(t *testing.T, code int, stderr string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, expected %d", r.code, code)
	}
	if r.stderr != stderr {
		t.Errorf("stderr %q, expected %q", r.stderr, stderr)
	}
}

// expectPart checks exit status and that stderr begins with mqfile's name, is one line and says what it should.
func (r result) expectPart(t *testing.T, code int, part string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, expected %d", r.code, code)
	}
	if !strings.HasPrefix(r.stderr, "mqfile: ") || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, part) {
		t.Errorf("stderr %q, expected one line that says %q", r.stderr, part)
	}
}

// gone checks that no queue of that name is left.
func gone(t *testing.T, name string) {
	t.Helper()
	if exists(t, name) {
		t.Errorf("queue %s was left behind", name)
		mq.Unlink(name)
	}
}

func exists(t *testing.T, name string) bool {
	t.Helper()
	q, err := mq.Open(name, os.O_WRONLY, 0, nil)
	if errors.Is(err, unix.ENOENT) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	q.Close()
	return true
}

// eventually waits for what happens in another process and tells nobody.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	NewWithT(t).Eventually(happened).WithContext(t.Context()).WithTimeout(harness.Stretched(enough)).Should(BeTrue(), what)
}
