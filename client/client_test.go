package main_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"daemonlab/lab/mq"
	"daemonlab/specs/harness"
)

// enough is the limit for anything that should happen at once, or after the client's own 10 s.
const enough = 30 * time.Second

// client is a running mqfile.
type client struct {
	t              *testing.T
	ctx            context.Context // ends when the client has run for too long
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

// result is how a client ended.
type result struct {
	code           int // -1 when a signal killed it
	stdout, stderr string
}

// command prepares a run of the program on the server's queue; the caller may change it before start.
func (s *server) command(args ...string) *client {
	return prepare(s.t, append([]string{"--queue", s.Queue}, args...)...)
}

// fetch starts the program on the server's queue.
func (s *server) fetch(args ...string) *client { return s.command(args...).start() }

func prepare(t *testing.T, args ...string) *client {
	ctx, cancel := harness.WithTimeout(t.Context(), enough)
	c := &client{t: t, ctx: ctx, cmd: exec.CommandContext(ctx, mqfile, args...)}
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	t.Cleanup(func() {
		cancel()
		if c.cmd.Process != nil {
			c.cmd.Wait() // harmless if a test has waited already
		}
	})
	return c
}

// by runs the program under another one, as its arguments.
func (c *client) by(program ...string) *client {
	c.cmd.Path, c.cmd.Args = program[0], append(program, c.cmd.Args...)
	return c
}

// under runs a shell script first, which then executes the program.
func (c *client) under(script string) *client {
	return c.by("/bin/sh", "-c", script+`; exec "$0" "$@"`)
}

func (c *client) start() *client {
	c.t.Helper()
	must(c.t, c.cmd.Start())
	return c
}

func (c *client) signal(sig os.Signal) {
	c.t.Helper()
	must(c.t, c.cmd.Process.Signal(sig))
}

func (c *client) wait() result {
	c.t.Helper()
	err := c.cmd.Wait()
	if c.ctx.Err() != nil {
		c.t.Fatalf("%v did not end in %v; stderr: %s", c.cmd.Args, enough, &c.stderr)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return result{c.cmd.ProcessState.ExitCode(), c.stdout.String(), c.stderr.String()}
}

// run starts the client and waits for it.
func (c *client) run() result {
	c.t.Helper()
	return c.start().wait()
}

// expect checks the exit status and the whole of stderr.
func (r result) expect(t *testing.T, code int, stderr string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, expected %d", r.code, code)
	}
	if r.stderr != stderr {
		t.Errorf("stderr %q, expected %q", r.stderr, stderr)
	}
}

// expectPart checks the exit status and that stderr is one line that begins with mqfile's name and contains part.
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
	if harness.QueueExists(name) {
		t.Errorf("queue %s was left behind", name)
		mq.Unlink(name)
	}
}

// eventually polls for what happens in another process without an event.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	NewWithT(t).Eventually(happened).WithContext(t.Context()).WithTimeout(harness.Stretched(enough)).Should(BeTrue(), what)
}
