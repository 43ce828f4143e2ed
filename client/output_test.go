package main_test

import (
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNewFile(t *testing.T) {
	t.Parallel()
	s, dir := newServer(t), t.TempDir()
	c := s.command("-o", "file", "PATH").under("umask 027")
	c.cmd.Dir = dir
	c.start()
	content := noise(20000)
	messages := s.request().serve(content)
	r := c.wait()
	r.expect(t, 0, received(len(content), messages))
	if r.stdout != "" {
		t.Errorf("stdout %q", r.stdout)
	}
	expectContent(t, dir+"/file", content)
	expectMode(t, dir+"/file", 0o640)
	expectFiles(t, dir, "file")
}

// A directory may allow new files and yet not be readable.
func TestUnreadableDirectory(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may list any directory")
	}
	s, dir := newServer(t), filepath.Join(t.TempDir(), "dir")
	must(t, os.Mkdir(dir, 0o300))
	c := s.fetch("-o", dir+"/file", "PATH")
	s.request().serve([]byte("x"))
	c.wait().expect(t, 0, received(1, 1))
	must(t, os.Chmod(dir, 0o700))
	expectFiles(t, dir, "file")
}

// Whatever cuts a transfer short leaves the older file, and none beside it.
func TestOldFileStays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setUp  func(*client)
		end    func(*client, *exchange)
		code   int
		stderr string
	}{
		"FAILURE": {nil, func(_ *client, e *exchange) { e.failure("no more") }, 1, "mqfile: no more\n"},
		"SIGTERM": {nil, func(c *client, _ *exchange) { c.signal(unix.SIGTERM) }, 143, ""},
		"the limit of a file's size": {func(c *client) { c.under("ulimit -f 1") }, nil, 1,
			"mqfile: write FILE: file too large\n"},
		// Written to disk before it has its name, the file is whole or absent after a power cut.
		"a disk error": {func(c *client) {
			strace, err := exec.LookPath("strace")
			if err != nil {
				c.t.Skip("no strace here to fail an fsync(2)")
			}
			c.by(strace, "-f", "-qq", "-o", "/dev/null", "-e", "inject=fsync:error=EIO")
		}, func(_ *client, e *exchange) {
			e.data(noise(1000))
			e.end()
		}, 1, "mqfile: fsync FILE: input/output error\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s, file := newServer(t), existingFile(t, "old", 0o644)
			running := s.command("-o", file, "PATH")
			if c.setUp != nil {
				c.setUp(running)
			}
			running.start()
			e := s.request()
			e.info(5000)
			e.data(noise(4000))
			eventually(t, "the client has taken it", e.IsTaken)
			if c.end != nil {
				c.end(running, e)
			}
			running.wait().expect(t, c.code, strings.Replace(c.stderr, "FILE", file, 1))
			expectContent(t, file, []byte("old"))
			expectFiles(t, filepath.Dir(file), "file")
		})
	}
}

// A link is followed: its target is replaced, the link stays.
func TestLinks(t *testing.T) {
	t.Parallel()
	s, dir := newServer(t), linkedFile(t)
	c := s.fetch("-o", dir+"/links/first", "PATH")
	s.request().serve([]byte("new"))
	c.wait().expect(t, 0, received(3, 1))
	expectContent(t, dir+"/files/file", []byte("new"))
	expectFiles(t, dir+"/files", "file")
	expectMode(t, dir+"/files/file", 0o604)
	expectMode(t, dir+"/links/first", fs.ModeSymlink|0o777)
	expectMode(t, dir+"/links/second", fs.ModeSymlink|0o777)
}

// linkedFile makes files/file, and links/first, which leads to it through links/second.
func linkedFile(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	must(t, os.Mkdir(dir+"/links", 0o700))
	must(t, os.Mkdir(dir+"/files", 0o700))
	must(t, os.Symlink("second", dir+"/links/first"))
	must(t, os.Symlink("../files/file", dir+"/links/second"))
	write(t, dir+"/files/file", "old", 0o604)
	return dir
}

// The destination is fixed at the start, whatever happens to links and directories meanwhile.
func TestLinksChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct{ output, file, link, target string }{
		"the link":      {"links/first", "files/file", "links/second", "../other/file"},
		"the directory": {"here/file", "files/file", "here", "other"},
		"the file":      {"files/file", "files/file", "files/file", "../other/file"},
		"a new file":    {"files/new", "files/new", "files/new", "../other/file"},
	} {
		t.Run(what, func(t *testing.T) {
			s, dir := newServer(t), linkedFile(t)
			must(t, os.Symlink("files", dir+"/here"))
			must(t, os.Mkdir(dir+"/other", 0o700))
			write(t, dir+"/other/file", "precious", 0o600)
			running := s.fetch("-o", filepath.Join(dir, c.output), "PATH")
			e := s.request()
			os.Remove(filepath.Join(dir, c.link)) // absent where a new file is to be made
			must(t, os.Symlink(c.target, filepath.Join(dir, c.link)))
			e.serve([]byte("new"))
			running.wait().expect(t, 0, received(3, 1))
			expectContent(t, dir+"/other/file", []byte("precious"))
			expectFiles(t, dir+"/other", "file")
			if info, err := os.Lstat(filepath.Join(dir, c.file)); err != nil || !info.Mode().IsRegular() {
				t.Errorf("%s is %v (%v)", c.file, info, err)
			}
			expectContent(t, filepath.Join(dir, c.file), []byte("new"))
			if entries, err := os.ReadDir(dir + "/files"); err != nil || strings.HasPrefix(entries[0].Name(), ".") {
				t.Errorf("left in the directory: %v (%v)", entries, err)
			}
		})
	}
}

func TestFIFO(t *testing.T) {
	t.Parallel()
	s, fifo := newServer(t), filepath.Join(t.TempDir(), "fifo")
	must(t, unix.Mkfifo(fifo, 0o600))
	c := s.fetch("-o", fifo, "PATH")
	reader, err := os.Open(fifo)
	must(t, err)
	defer reader.Close()
	content := noise(10000)
	messages := s.request().serve(content)
	if got, err := io.ReadAll(reader); err != nil || string(got) != string(content) {
		t.Errorf("%d bytes through the FIFO, %v", len(got), err)
	}
	c.wait().expect(t, 0, received(len(content), messages))
	expectMode(t, fifo, fs.ModeNamedPipe|0o600)
}

// The file behind /dev/stdout belongs to the shell too: it must be neither replaced nor written from offset 0.
func TestDevStdout(t *testing.T) {
	t.Parallel()
	s, file := newServer(t), filepath.Join(t.TempDir(), "file")
	c := s.command("-o", "/dev/stdout", "PATH").under("exec >" + file + "; echo first").start()
	s.request().serve([]byte("second"))
	c.wait().expect(t, 0, received(6, 1))
	expectContent(t, file, []byte("first\nsecond"))
	expectFiles(t, filepath.Dir(file), "file")
}

// An impossible output is reported before the server is asked.
func TestImpossibleOutput(t *testing.T) {
	t.Parallel()
	s, dir := newServer(t), t.TempDir()
	must(t, os.Symlink("loop", dir+"/loop"))
	must(t, os.Symlink("nothing", dir+"/dangling"))
	for _, file := range []string{dir, dir + "/none/file", dir + "/loop", dir + "/dangling", dir + "/file/"} {
		s.command("-o", file, "PATH").run().expectPart(t, 1, file+": ")
	}
	s.empty()
	expectFiles(t, dir, "dangling", "loop")
}

// A read-only file is not replaced, although its directory would allow it.
func TestReadOnlyFile(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may write any file")
	}
	s, file := newServer(t), existingFile(t, "old", 0o444)
	s.command("-o", file, "PATH").run().expectPart(t, 1, "permission denied")
	s.empty()
	expectContent(t, file, []byte("old"))
}

// Without a stdout there is nowhere to write to, so the server is not asked.
func TestClosedStdout(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, script := range []string{"exec >&-", "exec >&- <&-", "exec >&- </dev/null"} {
		s.command("PATH").under(script).run().expectPart(t, 1, "write stdout: closed")
	}
	s.empty()
}

// /dev/null is a valid stdout, also when opened for reading and writing as by daemon(3); nothing is read from stdin.
func TestStdoutNowhere(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"exec >/dev/null", "exec <>/dev/null >&0", "exec <&-"} {
		s := newServer(t)
		c := s.command("PATH").under(script).start()
		s.request().serve([]byte("x"))
		c.wait().expect(t, 0, received(1, 1))
	}
}

// brokenPipe returns the write end of a pipe without a reader.
func brokenPipe(t *testing.T) *os.File {
	t.Helper()
	out, in, err := os.Pipe()
	must(t, err)
	must(t, out.Close())
	t.Cleanup(func() { in.Close() })
	return in
}

// A reader that has seen enough is not an error.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.command("PATH")
	c.cmd.Stdout = brokenPipe(t)
	c.start()
	e := s.request()
	e.info(1 << 20)
	e.data([]byte("x"))
	c.wait().expect(t, 128+int(unix.SIGPIPE), "")
	gone(t, e.Request.Reply)
}

// A complete transfer succeeds even if nobody reads stderr.
func TestBrokenStderr(t *testing.T) {
	t.Parallel()
	s, file := newServer(t), filepath.Join(t.TempDir(), "file")
	c := s.command("-o", file, "PATH")
	c.cmd.Stderr = brokenPipe(t)
	c.start()
	s.request().serve([]byte("x"))
	c.wait().expect(t, 0, "")
	expectContent(t, file, []byte("x"))
}

func existingFile(t *testing.T, content string, mode fs.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, content, mode)
	return file
}

func write(t *testing.T, file, content string, mode fs.FileMode) {
	t.Helper()
	must(t, os.WriteFile(file, []byte(content), 0o600))
	must(t, os.Chmod(file, mode))
}

func expectContent(t *testing.T, file string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(file); err != nil || string(got) != string(want) {
		t.Errorf("%s holds %d bytes that are not the %d expected (%v)", file, len(got), len(want), err)
	}
}

func expectMode(t *testing.T, file string, want fs.FileMode) {
	t.Helper()
	if info, err := os.Lstat(file); err != nil || info.Mode() != want {
		t.Errorf("%s has mode %v, expected %v (%v)", file, info.Mode(), want, err)
	}
}
