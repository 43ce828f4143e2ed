package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// What a client may try, and what a careless or hostile environment does.

func TestAQueueThatOthersMayNotSendToGetsNoAnswer(t *testing.T) {
	s := start(t, place(t))
	must(t, s.WriteFile("file", []byte("x")))
	name := harness.QueueName("private")
	q, err := mq.Open(name, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 4, MsgSize: 512})
	must(t, err)
	defer mq.Unlink(name)
	defer q.Close()
	if os.Geteuid() == 0 { // the victim runs as the server's account
		must(t, q.Control(func(fd uintptr) { err = unix.Fchown(int(fd), 65534, 65534) }))
		must(t, err)
	}
	send(t, s, name, "file")
	mustLog(t, s, "others may not send to it")
	if attr, err := q.Attr(); err != nil || attr.CurMsgs != 0 {
		t.Error("messages in the victim's queue:", attr, err)
	}
	mustServe(t, s)
}

func TestNamesFromOutsideAreQuotedInTheLog(t *testing.T) {
	s := start(t, place(t))
	send(t, s, "/x\nroot::0:0:", "a\x1b[2J\nb")
	mustLog(t, s, `x\nroot`)
	fetch(t, s, "missing\nfile\x1b[2J")
	mustLog(t, s, `missing\nfile\x1b[2J`)
	log, err := os.ReadFile(s.Log)
	must(t, err)
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, "mqfiled[") {
			t.Errorf("a line that the server did not begin: %q", line)
		}
	}
}

func TestALogThatIsSomebodyElsesIsRefused(t *testing.T) {
	for what, make := range map[string]func(name, other string) error{
		"symbolic link": func(name, other string) error { return os.Symlink(other, name) },
		"hard link":     func(name, other string) error { return os.Link(other, name) },
	} {
		p := place(t)
		p.Log = filepath.Join(t.TempDir(), "planted")
		other := filepath.Join(filepath.Dir(p.Log), "other")
		must(t, os.WriteFile(other, []byte("precious\n"), 0o644))
		must(t, make(p.Log, other))
		if s, err := programs.StartServer(t.Context(), p, harness.Setting{}); err == nil {
			s.Close()
			t.Errorf("%s: the server started", what)
		}
		if text, err := os.ReadFile(other); err != nil || string(text) != "precious\n" {
			t.Errorf("%s: the other file has %q, %v", what, text, err)
		}
	}
}

// The server must not open a FIFO: its writer would get a broken pipe.
func TestAFIFOsWriterIsNotDisturbed(t *testing.T) {
	s := start(t, place(t))
	fifo := filepath.Join(s.Root, "fifo")
	must(t, unix.Mkfifo(fifo, 0o644))
	must(t, os.Chmod(fifo, 0o644))
	e := fetch(t, s, "fifo")
	if text, failed := e.Failed(); !failed || !strings.Contains(text, "FIFO") {
		t.Error(e.Summary())
	}
	opened := make(chan error, 1)
	go func() { // waits for a reader; no request becomes one
		f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		f.Close()
		opened <- err
	}()
	for range 20 {
		fetch(t, s, "fifo")
	}
	select {
	case <-opened:
		t.Error("a request opened the FIFO")
	default:
	}
	reader, err := os.OpenFile(fifo, os.O_RDONLY, 0)
	must(t, err)
	defer reader.Close()
	must(t, <-opened)
}

func TestAFileUnderALeaseIsWaitedFor(t *testing.T) {
	s := start(t, place(t))
	f, broken := leased(t, s)
	c := client(t, harness.Small)
	must(t, c.Request(t.Context(), s.Queue, "leased"))
	<-broken
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	must(t, err)
	if e, err := c.Finish(t.Context(), "leased"); err != nil || string(e.Content) != "content" {
		t.Error(e.Summary(), err)
	}
}

func TestFilesThatDoNotTellTheirSizeFail(t *testing.T) {
	p := place(t)
	s := start(t, p, "--root", "/proc")
	for _, path := range []string{"version", "self/status", "meminfo"} {
		e := fetch(t, s, path)
		if _, failed := e.Failed(); !failed {
			t.Error(path, e.Summary())
		}
	}
}

func TestWithoutOpenat2(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("there is no strace, which makes openat2(2) fail")
	}
	for _, errno := range []string{"ENOSYS", "EPERM"} {
		p := place(t)
		must(t, p.WriteFile("file", []byte("x")))
		must(t, p.WriteFile("secret", []byte("x")))
		must(t, os.Mkdir(filepath.Join(p.Root, "sub"), 0o755))
		must(t, os.Symlink("/etc/passwd", filepath.Join(p.Root, "sub", "out")))
		must(t, os.Symlink("../file", filepath.Join(p.Root, "sub", "in")))
		cmd := exec.Command(strace, append([]string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=openat2", "-e",
			"inject=openat2:error=" + errno, programs.Server, "--foreground"}, p.Args()...)...)
		must(t, cmd.Start())
		eventually(t, "it serves", func() bool {
			_, _, err := harness.QueueStatus(p.Queue)
			return err == nil
		})
		c := client(t, harness.Small)
		for _, path := range []string{"file", "sub/in"} {
			if e, err := c.Fetch(t.Context(), p.Queue, path); err != nil || string(e.Content) != "x" {
				t.Error(errno, path, e.Summary(), err)
			}
		}
		for _, path := range []string{"sub/out", "../file", "sub"} {
			if e, err := c.Fetch(t.Context(), p.Queue, path); err != nil || e.Last().Kind != wire.Failure {
				t.Error(errno, path, e.Summary(), err)
			}
		}
		run("--stop", "--pidfile", p.PIDFile)
		cmd.Wait()
	}
}
