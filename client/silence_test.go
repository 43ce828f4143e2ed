package main_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/specs/harness"
)

// One server does nothing for 10 s, another does not even take the request. Meanwhile a client is stopped: it cannot
// hear its server, which does not count as silence. All run at once, so that the test takes 10 s.
func TestSilence(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	t.Parallel()
	dir := t.TempDir()
	began := time.Now()

	stoppedClient, stoppedReply, tty := halfway(t, 80)

	mute := newServer(t)
	muteClient := mute.fetch("-o", dir+"/file", "PATH")
	muteReply := mute.request()

	full := newServer(t)
	full.fill()
	fullClient := full.fetch("PATH")

	tty.redraws() // with each it counts, from the second one on
	stoppedClient.signal(unix.SIGSTOP)
	fullClient.wait().expect(t, 3, "mqfile: queue "+full.Queue+" of the server has been full for 10s\n")
	muteClient.wait().expect(t, 3, "mqfile: nothing from the server at queue "+mute.Queue+" for 10s\n")
	gone(t, muteReply.Request.Reply)
	expectFiles(t, dir)
	if took := time.Since(began); took < 10*time.Second {
		t.Errorf("a silence of 10 s ended after %v", took)
	}
	stoppedClient.signal(unix.SIGCONT)
	tty.redraws()
	stoppedReply.data(make([]byte, 10000))
	stoppedReply.end()
	stoppedClient.wait().expect(t, 0, "")
}

// A client must not sleep until a time of day: the clock may be set back meanwhile.
func TestNoTimeOfDay(t *testing.T) {
	t.Parallel()
	sending, receiving := newServer(t), newServer(t)
	sending.fill()
	c := sending.fetch("PATH")
	expectNoDeadline(t, c, unix.SYS_MQ_TIMEDSEND)
	c.signal(unix.SIGTERM)
	c.wait()
	c = receiving.fetch("PATH")
	receiving.request()
	expectNoDeadline(t, c, unix.SYS_MQ_TIMEDRECEIVE)
	c.signal(unix.SIGTERM)
	c.wait()
}

// expectNoDeadline checks the fifth argument of the system call in which the client sleeps.
func expectNoDeadline(t *testing.T, c *client, call int) {
	t.Helper()
	if args := c.sleepsIn(call); len(args) < 5 || args[4] != "0x0" {
		t.Errorf("system call %d has a deadline: %v", call, args)
	}
}

// sleepsIn waits until a thread of the client sleeps in the system call, and returns the call's arguments.
func (c *client) sleepsIn(call int) (args []string) {
	c.t.Helper()
	eventually(c.t, "the client sleeps", func() bool {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", c.cmd.Process.Pid))
		if err != nil || len(tasks) == 0 {
			c.t.Skipf("no /proc/PID/syscall here (%v)", err)
		}
		for _, task := range tasks {
			text, err := os.ReadFile(task)
			if errors.Is(err, unix.EPERM) {
				c.t.Skipf("system calls of other processes are not shown here: %v", err)
			}
			if fields := strings.Fields(string(text)); len(fields) > 0 && fields[0] == strconv.Itoa(call) {
				args = fields[1:]
				return true
			}
		}
		return false
	})
	return args
}

// fill fills the server's queue.
func (s *server) fill() {
	s.t.Helper()
	must(s.t, harness.SendRaw(s.t.Context(), s.Queue, []byte("filler")))
}

// A request that finds the queue full is sent when there is room.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.fill()
	c := s.fetch("PATH")
	eventually(t, "the client sleeps", func() bool { return asleep(t, c) })
	if _, err := s.Accept(t.Context(), ""); !errors.Is(err, harness.ErrMalformed) {
		t.Fatal("no filler came first:", err)
	}
	s.request().serve([]byte("x"))
	c.wait().expect(t, 0, received(1, 1))
}

// asleep reports whether the client has its reply queue open, hence has only to send.
func asleep(t *testing.T, c *client) bool {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd/", c.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, entry := range entries {
		link, _ := os.Readlink(dir + entry.Name()) // may be closed again by now
		if replyName.MatchString(link) {
			return true
		}
	}
	return false
}
