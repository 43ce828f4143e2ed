package main_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{},
		{"a", "b"},
		{"--bad", "a"},
		{"--queue"},
		{"--queue", "noslash", "a"},
		{"--queue", "/two/slashes", "a"},
		{"--queue=", "a"},
		{"--queue=/", "a"},
		{"-o"},
		{"-o", "", "a"},
		{"a", "-o"},
	} {
		r := prepare(t, args...).run()
		if r.code != 2 || r.stdout != "" {
			t.Errorf("%q: exit status %d, stdout %q", args, r.code, r.stdout)
		}
		if !strings.HasPrefix(r.stderr, "mqfile: ") || !strings.Contains(r.stderr, "\nusage: mqfile ") {
			t.Errorf("%q: stderr %q", args, r.stderr)
		}
	}
}

func TestFlagForms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, form := range []func(queue, file string) []string{
		func(queue, file string) []string { return []string{"--queue", queue, "-o", file, "PATH"} },
		func(queue, file string) []string { return []string{"--queue=" + queue, "-o=" + file, "PATH"} },
		func(queue, file string) []string { return []string{"PATH", "-o", file, "--queue", queue} },
		func(queue, file string) []string { return []string{"-o", file, "--queue", queue, "--", "PATH"} },
	} {
		s := newServer(t)
		c := prepare(t, form(s.Queue, dir+"/file")...).start()
		e := s.request()
		if e.Request.Path != "PATH" {
			t.Errorf("%q: asked for %q", c.cmd.Args, e.Request.Path)
		}
		e.serve([]byte("x"))
		c.wait().expect(t, 0, received(1, 1))
		must(t, os.Remove(dir+"/file"))
	}
}

func TestHelpFitsAScreen(t *testing.T) {
	t.Parallel()
	r := prepare(t, "--help").run()
	r.expect(t, 0, "")
	lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	if len(lines) > 23 || !strings.Contains(r.stdout, "examples:") {
		t.Errorf("%d lines:\n%s", len(lines), r.stdout)
	}
	for _, line := range lines {
		if len(line) > 80 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

func TestOverlongPath(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := s.command(strings.Repeat("x", 4096)).run()
	if said, _, _ := strings.Cut(r.stderr, "\n"); r.code != 2 || said != "mqfile: path is longer than 4095 bytes" {
		t.Errorf("exit status %d, stderr %q", r.code, r.stderr)
	}
	s.empty()
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	prepare(t, "--queue", "/mqfile-test-none", "-o", dir+"/file", "a").run().
		expect(t, 3, "mqfile: no server at queue /mqfile-test-none\n")
	expectFiles(t, dir)
}

func TestForbiddenQueue(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	q, err := mq.Open(s.Queue, os.O_RDONLY, 0, nil)
	must(t, err)
	defer q.Close()
	must(t, q.Chmod(0o400))
	c := s.command("a")
	if os.Getuid() == 0 { // root may do anything, so another account has to try
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	c.run().expectPart(t, 3, "the server cannot be reached: queue "+s.Queue+": open: permission denied")
}

func TestQueueForSomethingElse(t *testing.T) {
	t.Parallel()
	small := harness.QueueName("small")
	q, err := mq.Open(small, os.O_CREATE|os.O_EXCL|os.O_RDONLY, wire.QueueMode, &mq.Attr{MaxMsg: 1, MsgSize: 200})
	must(t, err)
	defer q.Close()
	defer mq.Unlink(small)
	prepare(t, "--queue", small, "a").run().expectPart(t, 3, "takes no request of 262 bytes")
}

// Output that could not be written must not count as written.
func TestLostHelp(t *testing.T) {
	t.Parallel()
	for script, reason := range map[string]string{
		"exec >&-": "write stdout: closed", "exec >&- <&-": "write stdout: closed", "exec >/dev/full": "no space left on device",
	} {
		prepare(t, "--help").under(script).run().expectPart(t, 1, reason)
	}
	prepare(t, "--help").under("exec >/dev/null").run().expect(t, 0, "")
}

// With too few descriptors the program says so; with one more it works.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("the race detector needs descriptors of its own")
	}
	s, dir := newServer(t), t.TempDir()
	go s.serveForEver([]byte("x"))
	for limit := 3; ; limit++ {
		r := s.command("-o", dir+"/file", "PATH").under(fmt.Sprintf("ulimit -n %d", limit)).run()
		if r.code == 0 {
			r.expect(t, 0, received(1, 1))
			return
		}
		r.expectPart(t, 1, "too few file descriptors")
		expectFiles(t, dir)
		if t.Failed() {
			return
		}
	}
}
