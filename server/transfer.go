package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"daemonlab/lab/wire"
)

//lab:begin transfer protocol errors leaks

// transfer is the answer to one request.
type transfer struct {
	server  *server
	request wire.Request
	begin   time.Time
	reply   *reply
	client  neighbour
	file    file
	sent    int64 // bytes of the file
	turn    int64 // how many have been sent when others have their turn
}

// serve answers one request. A client whose queue has no room for the whole file may hold up the caller: long, if there
// is one, is called first. u is nil unless the request has its place in a user's share already.
func (s *server) serve(r wire.Request, u *user, long func()) {
	t := transfer{server: s, request: r, begin: time.Now(), turn: bytesPerTurn}
	if err := t.openReply(); err != nil {
		s.drop(r, err)
		s.free(u)
		return
	}
	t.reply.user = u
	if err := t.openFile(); err != nil {
		t.end(err)
		return
	}
	if t.reply.holds(t.file.size) {
		t.end(t.sendFile())
		return
	}
	t.reply.lookForClient()
	if !t.admit() {
		return
	}
	if long != nil {
		long()
	}
	t.end(t.sendFile())
}

// end tells the client of a failure, frees what the transfer holds and gives its slot back.
func (t *transfer) end(err error) {
	if err != nil {
		t.fail(err)
	}
	t.close()
	t.server.counters.ended(err, t.sent)
	t.logResult(err, time.Since(t.begin))
	t.server.free(t.reply.user)
}

func (t *transfer) close() {
	t.file.close()
	t.reply.close()
}

func (t *transfer) openReply() (err error) {
	t.reply, err = t.server.openReply(t.request)
	return err
}

func (t *transfer) openFile() (err error) {
	t.file, err = t.server.root.open(t.request.Path)
	return err
}

func (s *server) drop(r wire.Request, reason error) {
	s.counters.dropped.Add(1)
	s.log.printf("dropped the request for %q: %v", r.Path, reason)
}

func (t *transfer) logResult(err error, took time.Duration) {
	took = took.Round(time.Microsecond)
	if err != nil {
		t.server.log.printf("failed %q to %s, PID %d: %d bytes in %v: %v",
			t.request.Path, t.request.Reply, t.request.PID, t.sent, took, err)
		return
	}
	var line [256]byte
	t.server.log.printSoon(t.appendSent(line[:0], took))
}

// appendSent goes without package fmt, which would take a twentieth of the time that a small file does.
func (t *transfer) appendSent(line []byte, took time.Duration) []byte {
	line = strconv.AppendQuote(append(line, "sent "...), t.request.Path)
	line = append(append(line, " to "...), t.request.Reply...)
	line = strconv.AppendInt(append(line, ", PID "...), int64(t.request.PID), 10)
	line = strconv.AppendInt(append(line, ": "...), t.sent, 10)
	return append(append(line, " bytes in "...), took.String()...)
}

// errShrunk fails a transfer whose file has become shorter than INFO said.
var errShrunk = errors.New("the file became shorter while it was sent")

// sendFile sends INFO, DATA and END. A file that grows is sent as long as it was when it was opened. Its beginning is
// read before INFO is sent, which wakes the client: when that comes to look for DATA, a small file is there whole.
func (t *transfer) sendFile() error {
	buf := t.server.buffers.first(t.reply.msgSize)
	defer func() { t.server.buffers.release(buf) }()
	n, err := t.read(*buf)
	if err != nil {
		return err
	}
	var info [wire.InfoSize]byte
	if err := t.reply.send(wire.AppendInfo(info[:0], uint64(t.file.size)), wire.Info); err != nil {
		return err
	}
	for {
		if err := t.sendData((*buf)[:n]); err != nil {
			return err
		}
		if t.sent == t.file.size {
			return t.reply.send(nil, wire.End)
		}
		if err := t.pause(); err != nil {
			return err
		}
		buf = t.server.buffers.next(buf, t.reply.msgSize, t.reply.keepsUp())
		if n, err = t.read(*buf); err != nil {
			return err
		}
	}
}

// bytesPerTurn is after how many bytes a transfer gives other goroutines their turn, though it never has to wait: once
// one goroutine has gone on for 10 ms, Go's monitor thread takes the processor from it at any system call that it sees
// it in, and looks every 20 us (runtime.retake). That made a thousand context switches of a transfer of 256 MiB.
const bytesPerTurn = 8 << 20

// pause is what a transfer does for others before it reads on. An error says that it is to end.
func (t *transfer) pause() error {
	t.client.avoid()
	if t.sent >= t.turn {
		runtime.Gosched()
		t.turn = t.sent + bytesPerTurn
	}
	return context.Cause(t.server.ctx)
}

// read reads on where sending has got to.
func (t *transfer) read(buf []byte) (int, error) {
	rest := t.file.size - t.sent
	if rest == 0 {
		return 0, nil
	}
	return t.file.readAt(buf[:min(int64(len(buf)), rest)], t.sent)
}

// sendData sends what was read in pieces of the reply queue's message size.
func (t *transfer) sendData(b []byte) error {
	for len(b) > 0 {
		n, err := t.reply.sendPieces(b)
		t.sent += int64(n)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// fail tells the client why its exchange ends. One that has gone needs no word, and for one that takes nothing or has
// too many, or a server that is about to end, there is only the room that its queue has at this moment.
func (t *transfer) fail(reason error) {
	text := wire.FailureText(fmt.Sprintf("%s: %v", t.request.Path, reason), t.reply.msgSize)
	switch {
	case errors.Is(reason, errClientGone):
	case errors.Is(reason, errStalled), errors.Is(reason, errStopping), errors.Is(reason, errTooMany):
		t.reply.trySend(text, wire.Failure)
	default:
		t.reply.send(text, wire.Failure)
	}
}

//lab:end
