package main_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"daemonlab/lab/wire"
)

// The three ways in which a server can do nothing for 10 s, all at once so that the test takes 10 s.
func TestSilence(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	t.Parallel()
	dir := t.TempDir()
	began := time.Now()

	mute := newServer(t)
	muteClient := mute.fetch("-o", dir+"/file", "PATH")
	muteReply := mute.request()

	stalled := newServer(t)
	stalledClient := stalled.fetch("PATH")
	stalledReply := stalled.request()
	stalledReply.info(10)
	stalledReply.data([]byte("abc"))

	full := newServer(t)
	full.fill()
	fullClient := full.fetch("PATH")

	fullClient.wait().expect(t, 3, "mqfile: queue "+full.name+" of the server has been full for 10s\n")
	muteClient.wait().expect(t, 3, "mqfile: nothing from the server at queue "+mute.name+" for 10s\n")
	r := stalledClient.wait()
	r.expect(t, 3, "mqfile: nothing from the server at queue "+stalled.name+" for 10s\n")
	if r.stdout != "abc" {
		t.Errorf("stdout %q, expected what came before the silence", r.stdout)
	}
	gone(t, muteReply.request.Reply)
	gone(t, stalledReply.request.Reply)
	expectFiles(t, dir)
	if took := time.Since(began); took < 10*time.Second {
		t.Errorf("the patience of 10 s ended after %v", took)
	}
}

// fill leaves no room in the server's queue.
func (s *server) fill() {
	s.t.Helper()
	filler, err := wire.Request{Reply: "/mqfile-test-filler"}.Append(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.q.TrySend(filler, 0); err != nil {
		s.t.Fatal(err)
	}
}

// A request that finds the queue full is sent when there is room.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.fill()
	c := s.fetch("PATH")
	eventually(t, "the client sleeps", func() bool { return asleep(t, c) })
	s.take() // the filler
	s.request().serve([]byte("x"))
	c.wait().expect(t, 0, received(1, 1))
}

// asleep tells whether the client has its reply queue, hence nothing left to do but to send.
func asleep(t *testing.T, c *client) bool {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd/", c.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		link, _ := os.Readlink(dir + entry.Name()) // it may be closed again by now
		if replyName.MatchString(link) {
			return true
		}
	}
	return false
}
