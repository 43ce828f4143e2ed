package main_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

// replyName has the PID and at least 64 random bits.
var replyName = regexp.MustCompile(`^/mqfile-[0-9]+-[0-9a-f]{16,}$`)

func TestReplyQueue(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	names := map[string]bool{}
	for range 3 {
		c := s.command("PATH").under("umask 077").start()
		e := s.request()
		names[e.request.Reply] = true
		if !replyName.MatchString(e.request.Reply) {
			t.Errorf("reply queue %q", e.request.Reply)
		}
		if mode := e.mode(); mode != wire.QueueMode {
			t.Errorf("mode %#o, expected %#o", mode, wire.QueueMode)
		}
		e.info(1)
		eventually(t, "the name goes with the first response", func() bool { return !exists(t, e.request.Reply) })
		e.data([]byte("x"))
		e.end()
		c.wait().expect(t, 0, received(1, 1))
	}
	if len(names) != 3 {
		t.Errorf("three clients had the names %v", names)
	}
}

func (e *exchange) mode() (mode uint32) {
	e.t.Helper()
	var st unix.Stat_t
	var err error
	if e := e.reply.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }); e != nil {
		err = e
	}
	if err != nil {
		e.t.Fatal(err)
	}
	return st.Mode & 0o7777
}

// No room for any queue at all.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	s, dir := newServer(t), t.TempDir()
	s.command("-o", dir+"/file", "PATH").limited(300).run().expectPart(t, 1, "is 300 bytes, the smallest queue costs 352")
	s.empty()
	expectFiles(t, dir)
}

func TestShapes(t *testing.T) {
	t.Parallel()
	if inNamespaces(t) {
		testShapes(t)
	}
}

// The request queue takes up 4452 bytes.
func testShapes(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		msgMax, msgSizeMax int
		limit              uint64 // bytes for all queues
		want               mq.Attr
	}{
		{10, 8192, 819200, mq.Attr{MaxMsg: 10, MsgSize: 8192}},
		{10, 8192, 291200, mq.Attr{MaxMsg: 10, MsgSize: 8192}},
		{10, 8192, 291000, mq.Attr{MaxMsg: 4, MsgSize: 8192}},
		{10, 8192, 75200, mq.Attr{MaxMsg: 2, MsgSize: 8192}},
		{10, 8192, 33900, mq.Attr{MaxMsg: 2, MsgSize: 4096}},
		{10, 8192, 16000, mq.Attr{MaxMsg: 2, MsgSize: 2048}},
		{10, 8192, 9300, mq.Attr{MaxMsg: 2, MsgSize: 1024}},
		{10, 8192, 6800, mq.Attr{MaxMsg: 2, MsgSize: 512}},
		{10, 8192, 5667, mq.Attr{MaxMsg: 1, MsgSize: 256}},
		{10, 8192, 4804, mq.Attr{MaxMsg: 1, MsgSize: 256}},
		{10, 1 << 20, 819200, mq.Attr{MaxMsg: 2, MsgSize: 65536}},
		{10, 1 << 20, 450000, mq.Attr{MaxMsg: 10, MsgSize: 8192}},
		{2, 8192, 819200, mq.Attr{MaxMsg: 2, MsgSize: 8192}},
		{3, 5000, 819200, mq.Attr{MaxMsg: 2, MsgSize: 4096}},
		{1, 300, 819200, mq.Attr{MaxMsg: 1, MsgSize: 256}},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			setLimit(t, "msg_max", c.msgMax)
			setLimit(t, "msgsize_max", c.msgSizeMax)
			s := &server{t, s.name, s.q}
			client := s.command("PATH").limited(c.limit).start()
			e := s.request()
			if got := e.shape(); got.MaxMsg != c.want.MaxMsg || got.MsgSize != c.want.MsgSize {
				t.Errorf("reply queue of %d x %d bytes, expected %d x %d", got.MaxMsg, got.MsgSize, c.want.MaxMsg, c.want.MsgSize)
			}
			client.expectServed(e, noise(20000))
		})
	}
	setLimit(t, "msgsize_max", wire.MinMsgSize-1)
	s.command("PATH").run().expectPart(t, 1, "x 255 (msg_max, msgsize_max)")
	s.empty()
}

// Whoever may send to the request queue may set locks on it, which must not look like other clients.
func TestLocksOnRequestQueue(t *testing.T) {
	t.Parallel()
	if !inNamespaces(t) {
		return
	}
	s := newServer(t)
	stranger, err := mq.Open(s.name, os.O_WRONLY, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	var lockErr error
	err = stranger.Control(func(fd uintptr) {
		lockErr = unix.FcntlFlock(fd, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}) // every byte
	})
	if err = errors.Join(err, lockErr); err != nil {
		t.Fatal(err)
	}
	c := s.fetch("PATH")
	e := s.request()
	if shape := e.shape(); shape.MaxMsg != 10 || shape.MsgSize != 8192 {
		t.Errorf("reply queue of %d x %d bytes, expected 10 x 8192", shape.MaxMsg, shape.MsgSize)
	}
	c.expectServed(e, []byte("x"))
}

func (c *client) expectServed(e *exchange, file []byte) {
	c.t.Helper()
	messages := e.serve(file)
	r := c.wait()
	r.expect(c.t, 0, received(len(file), messages))
	if r.stdout != string(file) {
		c.t.Errorf("%d bytes on stdout are not the %d of the file", len(r.stdout), len(file))
	}
}

func setLimit(t *testing.T, name string, value int) {
	t.Helper()
	file := "/proc/sys/fs/mqueue/" + name
	if err := os.WriteFile(file, []byte(strconv.Itoa(value)), 0); err != nil {
		t.Fatal(err)
	}
}
