package main

import (
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

	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// shapes of reply queues of good clients. The deepest is rare: RLIMIT_MSGQUEUE is for all.
var shapes = []harness.Shape{
	{Depth: 1, MsgSize: 256}, {Depth: 2, MsgSize: 512}, {Depth: 3, MsgSize: 2048}, {Depth: 10, MsgSize: 300},
	{Depth: 2, MsgSize: 8192}, {Depth: 4, MsgSize: 8192}, {Depth: 10, MsgSize: 8192},
}

// fetch is a client that does all as it should.
func (s *session) fetch(ctx context.Context, chance *rand.Rand) {
	f := s.choose(chance)
	s.exchange(ctx, shapes[chance.IntN(len(shapes))], f.name, 0, 0, f.check)
}

// fetchSlowly takes a message now and then, for a while.
func (s *session) fetchSlowly(ctx context.Context, chance *rand.Rand) {
	f := s.files[len(s.files)-1]
	period := time.Duration(chance.IntN(int(longestPeriod)))
	if s.exchange(ctx, shapes[2+chance.IntN(3)], f.name, period, stall, f.check) {
		s.count("slow readers served")
	}
}

// fetchMoving wants a file that changes meanwhile: any end will do but silence, and but bytes that are not as many as
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
	if !f.is(e.Content) {
		return fmt.Errorf("%d bytes that are not the %d of the file", len(e.Content), f.size)
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

// exchange makes a request, judges what came, and reports whether it was as it should be.
func (s *session) exchange(ctx context.Context, shape harness.Shape, path string, period, while time.Duration,
	check func(harness.Exchange) error) bool {
	c, err := harness.NewClient(shape)
	if err != nil {
		s.lose("a client of the suite has no queue: %v", err)
		return false
	}
	defer c.Close()
	x := exchange{what: fmt.Sprintf("%s for %d x %d bytes", path, shape.Depth, shape.MsgSize), begin: time.Now()}
	err = c.Request(ctx, s.place.Queue, path)
	x.sent = time.Now()
	if err != nil {
		s.notSent(ctx, x, err)
		return false
	}
	s.count(requests)
	e, err := s.finish(ctx, c, &x, path, period, while)
	if err == nil {
		err = check(e)
	}
	if err == nil {
		s.count(checked)
		return true
	}
	if _, refused := e.Failed(); refused && s.stopping(x) {
		s.count("refused by a server that was ending")
		return false
	}
	s.judge(ctx, x, err)
	return false
}

// finish receives to the end. Silence is no loss as long as the server is only slow.
func (s *session) finish(ctx context.Context, c *harness.Client, x *exchange, path string, period, while time.Duration) (
	e harness.Exchange, err error) {
	x.last = time.Now()
	for before := s.counted(checked); ; period, while = 0, 0 {
		part, err := c.FinishSlowly(ctx, path, period, while)
		e.Messages = append(e.Messages, part.Messages...)
		e.Content = append(e.Content, part.Content...)
		x.end = time.Now()
		if !errors.Is(err, harness.ErrSilent) {
			return e, err
		}
		if len(part.Messages) > 0 {
			x.last, before = x.end.Add(-harness.Patience), s.counted(checked)
		} else if !s.slow(x.last, before) {
			return e, fmt.Errorf("%w for %v after %s", harness.ErrSilent, x.end.Sub(x.last), e.Summary().EN)
		}
		if s.excused(*x) != "" {
			return e, err
		}
	}
}

// passed is how many exchanges that end meanwhile show that one was forgotten. It is several times as many as can lie
// in the queue or be served at once.
const passed = 100

// hang is how long a server may answer nobody, a slow one too.
func hang() time.Duration { return 10 * harness.Patience }

// slow reports whether a server may still answer a request that has been silent since then, when it had answered as many
// as before: it has neither served enough others nor been silent to all for too long.
func (s *session) slow(since time.Time, before int) bool {
	return s.counted(checked)-before < passed && time.Since(since) < hang()
}

// What is counted in several places.
const (
	requests = "requests"
	checked  = "answered as they should be"
)

// notSent is what a client meets while there is no server, and no more than that.
func (s *session) notSent(ctx context.Context, x exchange, err error) {
	x.end = time.Now()
	switch {
	case ctx.Err() != nil:
	case s.absent(x):
		s.count("found no server, tried again")
		pause(ctx, 5*time.Millisecond)
	default:
		s.lose("%s: %v", x.what, err)
	}
}

// judge tells a loss from what was done to the server.
func (s *session) judge(ctx context.Context, x exchange, err error) {
	if ctx.Err() != nil {
		return
	}
	if excuse := s.excused(x); excuse != "" && errors.Is(err, harness.ErrSilent) {
		s.count("cut by: " + excuse)
		return
	}
	s.lose("%s, sent %v after its begin, ended after %v: %v", x.what, x.sent.Sub(x.begin), x.end.Sub(x.begin), err)
}

// runClient runs the client program.
func (s *session) runClient(ctx context.Context, chance *rand.Rand) {
	f := s.choose(chance)
	out := filepath.Join(s.place.Dir, fmt.Sprintf("out-%d", chance.Uint64()))
	defer os.Remove(out)
	x, before := exchange{what: "mqfile " + f.name, begin: time.Now()}, s.counted(checked)
	c, err := s.startClient("--queue", s.place.Queue, "-o", out, f.name)
	if err != nil {
		s.lose("mqfile cannot be started: %v", err)
		return
	}
	e := s.waitFor(ctx, c)
	x.sent, x.end, x.last = time.Now(), time.Now(), time.Now()
	s.count(requests)
	s.count("client programs")
	content, err := os.ReadFile(out)
	switch {
	case ctx.Err() != nil:
	case e.Exit == 0 && err == nil && f.is(content):
		s.count(checked)
	case e.Exit == 3 && (s.absent(x) || s.excused(x) != ""), e.Exit == 1 && s.stopping(x) && strings.Contains(e.Stderr, "stopping"):
		s.count("client programs that told of a server that ended")
	case e.Exit == 3 && s.slow(x.begin, before):
		s.count("client programs that gave up on a slow server")
	default:
		s.lose("%s: %v", x.what, e)
	}
}

func (s *session) startClient(args ...string) (*harness.Running, error) {
	s.starting.RLock()
	defer s.starting.RUnlock()
	return s.programs.StartClient(args...)
}

// waitFor waits for a client program, which has limits of its own.
func (s *session) waitFor(ctx context.Context, c *harness.Running) harness.Ended {
	limited, cancel := harness.WithTimeout(ctx, hang())
	defer cancel()
	e := c.Wait(limited)
	if limited.Err() != nil && ctx.Err() == nil {
		s.lose("mqfile %q did not end in %v", c.Args, hang())
	}
	return e
}

// interruptClient ends the client program by a signal, at any moment of its short life.
func (s *session) interruptClient(ctx context.Context, chance *rand.Rand) {
	name := s.choose(chance).name
	if chance.IntN(2) == 0 {
		name = large
	}
	c, err := s.startClient("--queue", s.place.Queue, name)
	if err != nil {
		s.lose("mqfile cannot be started: %v", err)
		return
	}
	life := 8 * time.Millisecond
	if s.race {
		life *= 5 // the race detector takes as long to start
	}
	pause(ctx, time.Duration(chance.IntN(int(life))))
	switch chance.IntN(4) {
	case 0:
		c.Signal(unix.SIGINT)
	case 1:
		c.Signal(unix.SIGTERM)
	default:
		s.orphans.kill(c, &s.ledger)
	}
	s.waitFor(ctx, c)
	s.count("client programs ended by a signal") // who knows which of them have made their request
	pause(ctx, time.Duration(chance.IntN(int(16*time.Millisecond))))
}
