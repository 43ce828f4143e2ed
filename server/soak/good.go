package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// shapes of reply queues of good clients. The deepest is rare: all share RLIMIT_MSGQUEUE.
var shapes = []harness.Shape{
	{Depth: 1, MsgSize: 256}, {Depth: 2, MsgSize: 512}, {Depth: 3, MsgSize: 2048}, {Depth: 10, MsgSize: 300},
	{Depth: 2, MsgSize: 8192}, {Depth: 4, MsgSize: 8192}, {Depth: 10, MsgSize: 8192},
}

// fetch is a well-behaved client.
func (s *session) fetch(ctx context.Context, chance *rand.Rand) {
	f := s.choose(chance)
	s.exchange(ctx, shapes[chance.IntN(len(shapes))], f.name, 0, 0, f.check)
}

// fetchSlowly takes a message now and then, for a while.
func (s *session) fetchSlowly(ctx context.Context, chance *rand.Rand) {
	f, period := s.large(), time.Duration(chance.IntN(int(stall/4)))
	if s.exchange(ctx, shapes[2+chance.IntN(3)], f.name, period, stall, f.check) {
		s.count("slow readers served")
	}
}

// fetchMoving asks for a file that changes meanwhile: any end will do, except silence and a number of bytes other than
// INFO said.
func (s *session) fetchMoving(ctx context.Context, chance *rand.Rand) {
	name := s.move(chance)
	var mover sync.WaitGroup
	other := rand.New(rand.NewPCG(chance.Uint64(), 0))
	mover.Go(func() {
		for range 4 {
			s.move(other)
		}
	})
	defer mover.Wait()
	if s.exchange(ctx, shapes[chance.IntN(len(shapes))], name, 0, 0, checkMoving) {
		s.count("files sent while they changed")
	}
}

func (f file) check(e harness.Exchange) error {
	if reason, failed := e.Failed(); failed {
		return fmt.Errorf("FAILURE %q", reason)
	}
	if !bytes.Equal(e.Content, f.content) {
		return fmt.Errorf("%d bytes that are not the %d of the file", len(e.Content), len(f.content))
	}
	return nil
}

func checkMoving(e harness.Exchange) error {
	if _, failed := e.Failed(); failed {
		return nil
	}
	size, err := wire.ParseInfo(e.Messages[0].Body)
	if err == nil && size != uint64(len(e.Content)) {
		err = fmt.Errorf("INFO %d, then %d bytes", size, len(e.Content))
	}
	return err
}

// exchange makes a request, judges the answer, and reports whether it was correct.
func (s *session) exchange(ctx context.Context, shape harness.Shape, path string, period, while time.Duration,
	check func(harness.Exchange) error) bool {
	c, err := harness.NewClient(shape)
	if err != nil {
		s.lose("a client of the suite has no queue: %v", err)
		return false
	}
	defer c.Close()
	x := exchange{what: fmt.Sprintf("%s for %d x %d bytes", path, shape.Depth, shape.MsgSize), begin: time.Now()}
	for full := s.silent(); ; { // a slow server may keep its queue full
		err = c.Request(ctx, s.place.Queue, path)
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) || !s.slow(full) {
			break
		}
	}
	x.sent, x.end = time.Now(), time.Now()
	var e harness.Exchange
	sent := err == nil
	if sent {
		s.count(requests)
		e, err = s.finish(ctx, c, &x, path, period, while)
	}
	if err == nil {
		err = check(e)
	}
	_, refused := e.Failed()
	switch excuse := s.excused(x); {
	case err == nil:
		s.count(checked)
	case ctx.Err() != nil:
	case !sent && s.absent(x):
		s.count("found no server, tried again")
		pause(ctx, 5*time.Millisecond)
	case refused && s.stopping(x):
		s.count("refused by a server that was ending")
	case errors.Is(err, harness.ErrSilent) && excuse != "":
		s.count("cut by: " + excuse)
	default:
		s.lose("%s, sent %v after its begin, ended after %v: %v", x.what, x.sent.Sub(x.begin), x.end.Sub(x.begin), err)
	}
	return err == nil
}

// finish receives to the end. Silence is no loss while the server is only slow.
func (s *session) finish(ctx context.Context, c *harness.Client, x *exchange, path string, period, while time.Duration) (
	e harness.Exchange, err error) {
	x.last = time.Now()
	for silence := s.silent(); ; period, while = 0, 0 {
		part, err := c.FinishSlowly(ctx, path, period, while)
		e.Messages = append(e.Messages, part.Messages...)
		e.Content = append(e.Content, part.Content...)
		x.end = time.Now()
		if len(part.Messages) > 0 {
			x.last, silence = part.Came, s.silent()
		}
		if !errors.Is(err, harness.ErrSilent) || s.excused(*x) != "" {
			return e, err
		}
		if !s.slow(silence) {
			return e, fmt.Errorf("%w for %v after %s", harness.ErrSilent, x.end.Sub(x.last), e.Summary().EN)
		}
	}
}

// runClient runs the client program.
func (s *session) runClient(ctx context.Context, chance *rand.Rand) {
	f := s.choose(chance)
	out := filepath.Join(s.place.Dir, fmt.Sprintf("out-%d", chance.Uint64()))
	defer os.Remove(out)
	x, silence := exchange{begin: time.Now()}, s.silent()
	e, started := s.program(ctx, func(*harness.Running) {}, "-o", out, f.name)
	if !started {
		return
	}
	x.sent, x.end, x.last = time.Now(), time.Now(), time.Now()
	s.count(requests)
	s.count("client programs")
	content, err := os.ReadFile(out)
	excuse := s.excusedProgram(e, x, silence)
	switch {
	case ctx.Err() != nil, e.Exit == 128+int(unix.SIGINT): // a terminal's Ctrl-C may reach it first
	case e.Exit == 0 && err == nil && bytes.Equal(content, f.content):
		s.count(checked)
	case excuse != "":
		s.count("client programs that " + excuse)
	default:
		s.lose("mqfile %s: %v", f.name, e)
	}
}

// excusedProgram returns the excuse for a failed client program, "" if there is none. A wait of 10 s is no loss if the
// server is only slow, and what a starved server can do in 10 s is unknown.
func (s *session) excusedProgram(e harness.Ended, x exchange, silence silence) string {
	switch {
	case e.Exit == 3 && (s.absent(x) || s.excused(x) != ""), e.Exit == 1 && s.stopping(x) && strings.Contains(e.Stderr, "stopping"):
		return "told of a server that ended"
	case e.Exit == 3 && (s.starved > 0 || s.slow(silence)):
		return "gave up on a slow server"
	}
	return ""
}

// program runs the client program, which has limits of its own, and reports whether it started.
func (s *session) program(ctx context.Context, meanwhile func(*harness.Running), args ...string) (e harness.Ended, started bool) {
	c, err := s.programs.StartClient(nil, append([]string{"--queue", s.place.Queue}, args...)...)
	if err != nil {
		s.lose("mqfile cannot be started: %v", err)
		return e, false
	}
	meanwhile(c)
	limited, cancel := harness.WithTimeout(ctx, hang())
	defer cancel()
	e = c.Wait(limited)
	if limited.Err() != nil && ctx.Err() == nil {
		s.lose("mqfile %q did not end in %v", c.Args, hang())
	}
	return e, true
}

// interruptClient ends the client program by a signal at a random moment of its short life.
func (s *session) interruptClient(ctx context.Context, chance *rand.Rand) {
	f, life := s.choose(chance), 8*time.Millisecond
	if chance.IntN(2) == 0 {
		f = s.large()
	}
	if s.race {
		life *= 5 // the race detector takes as long to start
	}
	s.program(ctx, func(c *harness.Running) {
		pause(ctx, time.Duration(chance.IntN(int(life))))
		switch chance.IntN(4) {
		case 0:
			c.Signal(unix.SIGINT)
		case 1:
			c.Signal(unix.SIGTERM)
		default:
			s.kill(c)
		}
	}, f.name)
	s.count("client programs ended by a signal") // how many of them have made their request is unknown
	pause(ctx, time.Duration(chance.IntN(int(16*time.Millisecond))))
}

// kill ends a client by SIGKILL, after stopping it, so that its queues can be read from its descriptors. Nobody else
// removes those; the last few are left, so that the others run with less room.
func (s *session) kill(c *harness.Running) {
	c.Signal(unix.SIGSTOP)
	// The client has stopped once all its threads have (waitid(2)); /proc shows only each thread.
	for unix.Waitid(unix.P_PID, c.PID, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	for _, name := range c.Queues() {
		s.count("queues left by killed clients")
		s.orphans = append(s.orphans, name)
	}
	c.Signal(unix.SIGKILL)
	s.count("client programs killed by SIGKILL")
	s.unlinkOrphans(3)
}

// unlinkOrphans removes the queues that killed clients have left, except the newest few.
func (s *session) unlinkOrphans(but int) {
	for ; len(s.orphans) > but; s.orphans = s.orphans[1:] {
		if err := mq.Unlink(s.orphans[0]); err != nil {
			s.lose("what a killed client left: %v", err)
		}
	}
}
