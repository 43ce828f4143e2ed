package main_test

import (
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
var replyName = regexp.MustCompile(`^/mqfile-[0-9]+-[0-9a-f]{16,}\.locked$`)

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
	s.command("-o", dir+"/file", "PATH").limited(300).run().expectPart(t, 1, "300 bytes")
	s.empty()
	expectFiles(t, dir)
}

func TestShapes(t *testing.T) {
	t.Parallel()
	if inNamespaces(t) {
		testShapes(t)
	}
}

func testShapes(t *testing.T) {
	s := newServer(t)
	taken := mq.Cost(1, wire.RequestSize)
	for _, c := range []struct {
		msgMax, msgSizeMax int
		room               uint64 // bytes for the reply queue
		want               mq.Attr
	}{
		{10, 8192, 82880, mq.Attr{MaxMsg: 10, MsgSize: 8192}},
		{10, 8192, 82879, mq.Attr{MaxMsg: 6, MsgSize: 8192}},
		{10, 8192, 49727, mq.Attr{MaxMsg: 4, MsgSize: 8192}},
		{10, 8192, 16576, mq.Attr{MaxMsg: 2, MsgSize: 8192}},
		{10, 8192, 8384, mq.Attr{MaxMsg: 2, MsgSize: 4096}},
		{10, 8192, 8383, mq.Attr{MaxMsg: 2, MsgSize: 2048}},
		{10, 8192, 704, mq.Attr{MaxMsg: 2, MsgSize: 256}},
		{10, 8192, 703, mq.Attr{MaxMsg: 1, MsgSize: 256}},
		{100, 16384, 164800, mq.Attr{MaxMsg: 10, MsgSize: 16384}},
		{100, 16384, 82880, mq.Attr{MaxMsg: 4, MsgSize: 16384}},
		{100, 16384, 82880 - 16384, mq.Attr{MaxMsg: 4, MsgSize: 16384}},
		{10, 1 << 20, 131264, mq.Attr{MaxMsg: 2, MsgSize: 65536}},
		{10, 1 << 20, 131263, mq.Attr{MaxMsg: 10, MsgSize: 8192}},
		{3, 5000, 80000, mq.Attr{MaxMsg: 3, MsgSize: 5000}},
		{1, 300, 80000, mq.Attr{MaxMsg: 1, MsgSize: 300}},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			setLimit(t, "msg_max", c.msgMax)
			setLimit(t, "msgsize_max", c.msgSizeMax)
			s := &server{t, s.name, s.q}
			client := s.command("PATH").limited(taken + c.room).start()
			e := s.request()
			if got := e.shape(); got.MaxMsg != c.want.MaxMsg || got.MsgSize != c.want.MsgSize {
				t.Errorf("reply queue of %d x %d bytes, expected %d x %d", got.MaxMsg, got.MsgSize, c.want.MaxMsg, c.want.MsgSize)
			}
			client.expectServed(e, noise(20000))
		})
	}
	testTooSmallMessages(t, s)
}

func testTooSmallMessages(t *testing.T, s *server) {
	setLimit(t, "msgsize_max", wire.MinMsgSize-1)
	s.command("PATH").run().expectPart(t, 1, "messages of 255 bytes (msgsize_max)")
	s.empty()
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
