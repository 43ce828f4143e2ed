package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/harness"
)

// operate plays the server's operator. In the first half one server lives on, and is measured while all is quiet; in
// the second, servers come and go.
func (s *session) operate(ctx context.Context, chance *rand.Rand) error {
	begin := time.Now()
	half, end := begin.Add(s.time/2), begin.Add(s.time)
	looks := s.time / 12
	for next := begin.Add(looks); (time.Now().Before(half) || len(s.sights) < 2) && ctx.Err() == nil; {
		pause(ctx, time.Duration(chance.IntN(int(time.Second))))
		s.rotateLog()
		if chance.IntN(30) == 0 {
			s.unlinkQueue(ctx)
		}
		if time.Now().After(next) {
			if err := s.lookAtServer(ctx); err != nil {
				return err
			}
			next = time.Now().Add(looks)
		}
	}
	for time.Now().Before(end) && ctx.Err() == nil {
		pause(ctx, time.Duration(chance.IntN(int(4*time.Second))))
		s.rotateLog()
		if err := s.restart(ctx, []string{stopped, killed}[chance.IntN(2)]); err != nil {
			return err
		}
	}
	return nil
}

// start starts a server. While there is none, a hostile client can register for the queue's notification; a server that
// finds it taken cannot start.
func (s *session) start(ctx context.Context) (err error) {
	for end := harness.Now() + harness.Patience; ; pause(ctx, 10*time.Millisecond) {
		s.server, err = s.programs.StartServer(ctx, s.place, harness.Setting{}, "--stall", fmt.Sprint(stall.Seconds()))
		s.living.Store(s.server)
		if err == nil || !strings.Contains(err.Error(), "already registered") || harness.Now() > end {
			return err
		}
		s.count("operator: starts that a hostile registration prevented")
	}
}

// rotateLog does what logrotate(8) does.
func (s *session) rotateLog() {
	os.Rename(s.place.Log, s.place.Log+".1")
	s.server.Signal(unix.SIGHUP)
	s.count("operator: SIGHUP")
}

// restart ends the server and starts the next one. A killed one leaves its queue, so the next one finds requests in it.
func (s *session) restart(ctx context.Context, what string) error {
	sig := unix.SIGTERM
	if what == killed {
		sig = unix.SIGKILL
	}
	t := s.begin(what)
	s.living.Store(nil)
	s.server.Signal(sig) // ignore the error: WaitForEnd shows the end
	limited, cancel := harness.WithTimeout(ctx, grace+time.Second+harness.Slack)
	defer cancel()
	status, err := s.server.WaitForEnd(limited)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		s.lose("the server did not end within %v of %v", grace+time.Second+harness.Slack, sig)
	case what == killed && status.Signal() != sig, what == stopped && status != 0:
		s.died(status) // on its own
	}
	s.set(&t.till)
	waiting := s.fillQueue(ctx)
	defer func() {
		for _, c := range waiting {
			c.Close()
		}
	}()
	s.server.Close()
	if err := s.start(ctx); err != nil {
		if ctx.Err() == nil {
			s.lose("the server does not start again: %v", err)
		}
		return err
	}
	s.set(&t.back)
	for _, c := range waiting {
		f, x := s.files[1], exchange{begin: time.Now()}
		e, err := s.finish(ctx, c, &x, f.name, 0, 0)
		if err == nil {
			err = f.check(e)
		}
		if err != nil && ctx.Err() == nil {
			s.lose("a request that was in the queue when the server started again: %v", err)
		}
		s.count("requests that outlived their server")
	}
	return nil
}

const backlog = 5

// fillQueue puts requests into a queue without a server, as far as there is room: others do so too.
func (s *session) fillQueue(ctx context.Context) (waiting []*harness.Client) {
	for range backlog {
		c, err := harness.NewClient(harness.Small)
		if err != nil {
			return waiting
		}
		limited, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		err = c.Request(limited, s.place.Queue, s.files[1].name)
		cancel()
		if err != nil {
			c.Close()
			return waiting
		}
		s.count(requests)
		waiting = append(waiting, c)
	}
	return waiting
}

// unlinkQueue makes a mistake that only the server's own user or root can make. The server has to notice it.
func (s *session) unlinkQueue(ctx context.Context) {
	t, watch := s.begin(unlinked), harness.NewStopwatch()
	mq.Unlink(s.place.Queue)
	for ; !harness.QueueExists(s.place.Queue) && ctx.Err() == nil; pause(ctx, 5*time.Millisecond) {
		if !watch.Within(hang()) {
			s.lose("the request queue was not made again in %v", hang())
			break
		}
	}
	s.set(&t.till)
	s.set(&t.back)
}
