package main_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

func TestShapes(t *testing.T) {
	t.Parallel()
	if inNamespaces(t) {
		testShapes(t)
	}
}

// The request queue takes 4452 bytes of the limit.
func testShapes(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	for _, c := range []struct {
		msgMax, msgSizeMax int
		limit              uint64 // bytes, for all queues
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
			limitQueues(t, c.limit)
			s := &server{t, s.FakeServer}
			client := s.fetch("PATH")
			e := s.request()
			e.expectShape(c.want)
			client.expectServed(e, noise(20000))
		})
	}
	t.Run("no room for any queue at all", func(t *testing.T) {
		limitQueues(t, 300)
		s.command("-o", dir+"/file", "PATH").run().expectPart(t, 1, "is 300 bytes, the smallest queue costs 352")
	})
	t.Run("no message is long enough", func(t *testing.T) {
		setLimit(t, "msgsize_max", wire.MinMsgSize-1)
		s.command("-o", dir+"/file", "PATH").run().expectPart(t, 1, "x 255 (msg_max, msgsize_max)")
	})
	s.empty()
	expectFiles(t, dir)
}

// Anybody who may send to the request queue may lock it, which must not look like other clients.
func TestLocksOnRequestQueue(t *testing.T) {
	t.Parallel()
	if !inNamespaces(t) {
		return
	}
	s := newServer(t)
	stranger, err := mq.Open(s.Queue, os.O_WRONLY, 0, nil)
	must(t, err)
	defer stranger.Close()
	var lockErr error
	err = stranger.Control(func(fd uintptr) {
		lockErr = unix.FcntlFlock(fd, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}) // every byte
	})
	must(t, errors.Join(err, lockErr))
	c := s.fetch("PATH")
	e := s.request()
	e.expectShape(mq.Attr{MaxMsg: 10, MsgSize: 8192})
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
	must(t, os.WriteFile("/proc/sys/fs/mqueue/"+name, []byte(strconv.Itoa(value)), 0))
}
