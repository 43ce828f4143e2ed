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

	"daemonlab/lab/wire"
)

func TestNewFile(t *testing.T) {
	t.Parallel()
	s, file := newServer(t), filepath.Join(t.TempDir(), "file")
	c := s.command("-o", file, "PATH").under("umask 027").start()
	content := noise(20000)
	messages := s.request().serve(content)
	r := c.wait()
	r.expect(t, 0, received(len(content), messages))
	if r.stdout != "" {
		t.Errorf("stdout %q", r.stdout)
	}
	expectContent(t, file, content)
	expectMode(t, file, 0o640)
	expectFiles(t, filepath.Dir(file), "file")
}

func TestRelativeFile(t *testing.T) {
	t.Parallel()
	s, dir := newServer(t), t.TempDir()
	c := s.command("-o", "file", "PATH")
	c.cmd.Dir = dir
	c.start()
	s.request().serve([]byte("x"))
	c.wait().expect(t, 0, received(1, 1))
	expectFiles(t, dir, "file")
}

// A directory that files may be put into need not be one that can be listed.
func TestUnreadableDirectory(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may list any directory")
	}
	s, dir := newServer(t), filepath.Join(t.TempDir(), "dir")
	mkdir(t, dir)
	if err := os.Chmod(dir, 0o300); err != nil {
		t.Fatal(err)
	}
	c := s.fetch("-o", dir+"/file", "PATH")
	s.request().serve([]byte("x"))
	c.wait().expect(t, 0, received(1, 1))
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, dir, "file")
}

// A file is replaced at the end, in one step, and keeps its mode.
func TestReplacedFile(t *testing.T) {
	t.Parallel()
	s, file := newServer(t), existingFile(t, "old", 0o604)
	c := s.fetch("-o", file, "PATH")
	e := s.request()
	e.info(6)
	e.data([]byte("new"))
	eventually(t, "the client has read a response", func() bool { return !exists(t, e.request.Reply) })
	expectContent(t, file, []byte("old"))
	e.data([]byte("est"))
	e.end()
	c.wait().expect(t, 0, received(6, 2))
	expectContent(t, file, []byte("newest"))
	expectMode(t, file, 0o604)
	expectFiles(t, filepath.Dir(file), "file")
}

func TestFailureKeepsOldFile(t *testing.T) {
	t.Parallel()
	s, file := newServer(t), existingFile(t, "old", 0o644)
	c := s.fetch("-o", file, "PATH")
	e := s.request()
	e.info(6)
	e.data([]byte("new"))
	e.failure("no more")
	c.wait().expect(t, 1, "mqfile: no more\n")
	expectContent(t, file, []byte("old"))
	expectFiles(t, filepath.Dir(file), "file")
}

// Links lead to what is replaced, and stay.
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

// linkedFile makes files/file, and links/first that leads to it through links/second.
func linkedFile(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	mkdir(t, dir+"/links")
	mkdir(t, dir+"/files")
	symlink(t, "second", dir+"/links/first")
	symlink(t, "../files/file", dir+"/links/second")
	write(t, dir+"/files/file", "old", 0o604)
	return dir
}

// Where the file goes is decided at the start, whatever becomes of links and directories until the end.
func TestLinksChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		output, file string
		change       func(dir string)
	}{
		"the link": {"links/first", "files/file", func(dir string) {
			remove(t, dir+"/links/second")
			symlink(t, "../other/file", dir+"/links/second")
		}},
		"the directory": {"here/file", "files/file", func(dir string) {
			remove(t, dir+"/here")
			symlink(t, "other", dir+"/here")
		}},
		"the file": {"files/file", "files/file", func(dir string) {
			remove(t, dir+"/files/file")
			symlink(t, "../other/file", dir+"/files/file")
		}},
		"a new file": {"files/new", "files/new", func(dir string) { symlink(t, "../other/file", dir+"/files/new") }},
	} {
		t.Run(what, func(t *testing.T) {
			s, dir := newServer(t), linkedFile(t)
			symlink(t, "files", dir+"/here")
			mkdir(t, dir+"/other")
			write(t, dir+"/other/file", "precious", 0o600)
			running := s.fetch("-o", filepath.Join(dir, c.output), "PATH")
			e := s.request()
			c.change(dir)
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

// After a power cut there is a whole file or none: it is on the disk before it has its name.
func TestSync(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("no strace here to fail an fsync(2)")
	}
	s, file := newServer(t), existingFile(t, "old", 0o644)
	c := s.command("-o", file, "PATH")
	c.cmd.Args = append([]string{strace, "-f", "-qq", "-o", "/dev/null", "-e", "inject=fsync:error=EIO"}, c.cmd.Args...)
	c.cmd.Path = strace
	c.start()
	s.request().serve([]byte("new"))
	c.wait().expect(t, 1, "mqfile: fsync "+file+": input/output error\n")
	expectContent(t, file, []byte("old"))
	expectFiles(t, filepath.Dir(file), "file")
}

func TestDevice(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.fetch("-o", "/dev/null", "PATH")
	s.request().serve([]byte("x"))
	c.wait().expect(t, 0, received(1, 1))
	if info, err := os.Lstat("/dev/null"); err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		t.Fatalf("/dev/null is now %v, %v", info, err)
	}
}

func TestFIFO(t *testing.T) {
	t.Parallel()
	s, fifo := newServer(t), filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	c := s.fetch("-o", fifo, "PATH")
	reader, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	content := noise(10000)
	messages := s.request().serve(content)
	if got, err := io.ReadAll(reader); err != nil || string(got) != string(content) {
		t.Errorf("%d bytes through the FIFO, %v", len(got), err)
	}
	c.wait().expect(t, 0, received(len(content), messages))
	expectMode(t, fifo, fs.ModeNamedPipe|0o600)
}

// The file behind /dev/stdout belongs to the shell too: it is neither replaced nor written from its beginning.
func TestDevStdout(t *testing.T) {
	t.Parallel()
	s, file := newServer(t), filepath.Join(t.TempDir(), "file")
	c := s.command("-o", "/dev/stdout", "PATH").under("exec >" + file + "; echo first").start()
	s.request().serve([]byte("second"))
	c.wait().expect(t, 0, received(6, 1))
	expectContent(t, file, []byte("first\nsecond"))
	expectFiles(t, filepath.Dir(file), "file")
}

// What cannot be written is said before the server is bothered.
func TestImpossibleOutput(t *testing.T) {
	t.Parallel()
	s, dir := newServer(t), t.TempDir()
	symlink(t, "loop", dir+"/loop")
	symlink(t, "nothing", dir+"/dangling")
	for _, file := range []string{dir, dir + "/none/file", dir + "/loop", dir + "/dangling", dir + "/file/"} {
		s.command("-o", file, "PATH").run().expectPart(t, 1, file+": ")
	}
	s.empty()
	expectFiles(t, dir, "dangling", "loop")
}

// A file that may not be written is not replaced either, although its directory would allow it.
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

func TestFullDevice(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	c := s.command("PATH")
	c.cmd.Stdout = full
	c.start()
	e := s.request()
	e.serve([]byte("x"))
	c.wait().expect(t, 1, "mqfile: write stdout: no space left on device\n")
	gone(t, e.request.Reply)
}

// Without a stdout there is nowhere to write to, so the server is not asked.
func TestClosedStdout(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, script := range []string{"exec >&-", "exec >&- <&-", "exec >&- </dev/null"} {
		s.command("PATH").under(script).run().expectPart(t, 1, "write stdout: it is closed")
	}
	s.empty()
}

// /dev/null is a place to write to, also as daemon(3) opens it.
func TestStdoutNowhere(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"exec >/dev/null", "exec <>/dev/null >&0"} {
		s := newServer(t)
		c := s.command("PATH").under(script).start()
		s.request().serve([]byte("x"))
		c.wait().expect(t, 0, received(1, 1))
	}
}

func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	s, file := newServer(t), existingFile(t, "old", 0o644)
	c := s.command("-o", file, "PATH").under("ulimit -f 1").start()
	e := s.request()
	e.info(5000)
	e.data(noise(5000))
	e.trySend(wire.End, nil)
	c.wait().expectPart(t, 1, "write "+file+": file too large")
	gone(t, e.request.Reply)
	expectContent(t, file, []byte("old"))
	expectFiles(t, filepath.Dir(file), "file")
}

// A reader that has seen enough is no failure to speak of.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := s.command("PATH")
	c.cmd.Stdout = in
	c.start()
	in.Close()
	out.Close()
	e := s.request()
	e.info(1 << 20)
	e.data([]byte("x"))
	c.wait().expect(t, 128+int(unix.SIGPIPE), "")
	gone(t, e.request.Reply)
}

// Nobody reading stderr does not make a transfer that was complete a failure.
func TestBrokenStderr(t *testing.T) {
	t.Parallel()
	s, file := newServer(t), filepath.Join(t.TempDir(), "file")
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := s.command("-o", file, "PATH")
	c.cmd.Stderr = in
	c.start()
	in.Close()
	out.Close()
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
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
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
