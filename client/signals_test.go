package main_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var deadly = []syscall.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGXCPU,
	unix.SIGABRT, unix.SIGILL, unix.SIGTRAP, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS, unix.SIGSTKFLT,
}

// Any signal that ends the program leaves neither its queue nor an unfinished file.
func TestDeadlySignals(t *testing.T) {
	t.Parallel()
	for _, sig := range deadly {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			s, dir := newServer(t), t.TempDir()
			c := s.fetch("-o", dir+"/file", "PATH")
			e := s.request()
			c.signal(sig)
			c.wait().expect(t, 128+int(sig), "")
			gone(t, e.Request.Reply)
			expectFiles(t, dir)
		})
	}
}

func TestSignalWhileQueueIsFull(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.fill()
	c := s.fetch("PATH")
	eventually(t, "the client sleeps", func() bool { return asleep(t, c) })
	c.signal(unix.SIGINT)
	c.wait().expect(t, 130, "")
}

// A reader that does not read must not make the program immune to signals.
func TestSignalWhileOutputIsStuck(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(e *exchange, capacity int){
		"stdout": func(e *exchange, capacity int) {
			e.info(1 << 20)
			e.data(noise(capacity + 1))
		},
		"stderr": func(e *exchange, _ int) {
			e.failure(strings.Repeat("\x01", e.MsgSize)) // its printed form is larger than the pipe
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			out, in, err := os.Pipe()
			must(t, err)
			defer out.Close()
			defer in.Close()
			capacity, err := unix.FcntlInt(in.Fd(), unix.F_SETPIPE_SZ, os.Getpagesize())
			must(t, err)
			c := s.command("PATH")
			if name == "stdout" {
				c.cmd.Stdout = in
			} else {
				c.cmd.Stderr = in
			}
			c.start()
			e := s.request()
			answer(e, capacity)
			eventually(t, "the pipe is full", func() bool {
				unread, err := unix.IoctlGetInt(int(out.Fd()), unix.TIOCINQ)
				must(t, err)
				return unread == capacity
			})
			c.signal(unix.SIGINT)
			c.wait().expect(t, 130, "")
			gone(t, e.Request.Reply)
		})
	}
}

// As under nohup(1), and in the background of a script.
func TestIgnoredSignals(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.command("PATH").under("trap '' HUP INT").start()
	e := s.request()
	c.signal(unix.SIGHUP)
	c.signal(unix.SIGINT)
	e.serve([]byte("x"))
	c.wait().expect(t, 0, received(1, 1))
}

// These signals must not end the program, or they would leave its queue behind.
func TestHarmlessSignals(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.fetch("PATH")
	e := s.request()
	for sig := syscall.Signal(32); sig <= 64; sig++ {
		c.signal(sig)
	}
	for _, sig := range []syscall.Signal{
		unix.SIGPROF, unix.SIGXFSZ, unix.SIGPIPE, unix.SIGVTALRM, unix.SIGIO, unix.SIGPWR, unix.SIGCHLD, unix.SIGURG, unix.SIGWINCH, unix.SIGCONT,
	} {
		c.signal(sig)
	}
	e.serve([]byte("x"))
	c.wait().expect(t, 0, received(1, 1))
}

// Stopped and continued, as by Ctrl-Z and fg.
func TestStopAndContinue(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.fetch("PATH")
	e := s.request()
	c.signal(unix.SIGSTOP)
	e.info(1)
	c.signal(unix.SIGCONT)
	e.data([]byte("x"))
	e.end()
	c.wait().expect(t, 0, received(1, 1))
}
