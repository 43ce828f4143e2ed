package main_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
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

// Links lead to what is replaced or made, and stay.
func TestLinks(t *testing.T) {
	t.Parallel()
	for name, leads := range map[string]bool{"existing": true, "dangling": false} {
		t.Run(name, func(t *testing.T) {
			s, dir := newServer(t), t.TempDir()
			mkdir(t, dir+"/links")
			mkdir(t, dir+"/files")
			symlink(t, "second", dir+"/links/first")
			symlink(t, "../files/file", dir+"/links/second")
			if leads {
				write(t, dir+"/files/file", "old", 0o600)
			}
			c := s.fetch("-o", dir+"/links/first", "PATH")
			s.request().serve([]byte("new"))
			c.wait().expect(t, 0, received(3, 1))
			expectContent(t, dir+"/files/file", []byte("new"))
			expectFiles(t, dir+"/files", "file")
			expectMode(t, dir+"/links/first", fs.ModeSymlink|0o777)
			expectMode(t, dir+"/links/second", fs.ModeSymlink|0o777)
		})
	}
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
	for _, file := range []string{dir, dir + "/none/file", dir + "/loop", dir + "/file/"} {
		s.command("-o", file, "PATH").run().expectPart(t, 1, file+": ")
	}
	s.empty()
	expectFiles(t, dir, "loop")
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
