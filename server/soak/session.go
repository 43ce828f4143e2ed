package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/specs/harness"
)

// stall is the server's --stall: how long it bears with a client that takes nothing.
const stall = 2 * time.Second

// session is one run.
type session struct {
	options
	ledger
	programs harness.Programs
	place    harness.Place
	files    []file
	server   *harness.Server // the operator's
	group    string          // the server's control group, "" for none

	calm     sync.RWMutex // actors hold it for reading while they act
	starting sync.RWMutex // for writing while a server starts, whose daemon is searched among all processes
	orphans  orphans
	growth   growth
	races    int

	living atomic.Pointer[harness.Server] // the server, but nil while the operator ends it
}

func newSession(o options) (*session, error) {
	in := func(name string) string { return filepath.Join(o.work, name) }
	s := &session{options: o, programs: harness.Programs{
		Server: in("mqfiled"), Client: in("mqfile"), Launcher: in("launch"),
	}}
	var err error
	if s.place, err = harness.NewPlace(); err != nil {
		return nil, err
	}
	if s.files, err = makeFiles(s.place); err == nil && o.race {
		err = os.Setenv("GORACE", raceOptions+s.racePath())
	}
	if err == nil && o.starved > 0 {
		s.group, err = starve(&s.programs, o.starved)
	}
	if err != nil {
		return nil, errors.Join(err, s.clear())
	}
	return s, nil
}

// clear ends what is left, also after a failure, and removes what it has made.
func (s *session) clear() error {
	if s.server != nil {
		s.server.Signal(unix.SIGTERM)
		ctx, cancel := harness.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.server.WaitForEnd(ctx)
		s.server.Close()
	}
	err := harness.KillAdopted()
	if s.group != "" {
		err = errors.Join(err, harness.RemoveGroup(s.group))
	}
	s.orphans.removeAll(&s.ledger)
	s.races = s.showRaces()
	s.place.Remove()
	return err
}

// actor is what goes on all the time: one deed after the other.
type actor func(ctx context.Context, chance *rand.Rand)

// run lets the operator do his work among the actors. What they have begun by its end is judged as well.
func (s *session) run(ctx context.Context) error {
	if err := s.startFirst(ctx); err != nil {
		return err
	}
	serving, cut := context.WithCancel(ctx)
	acting, stop := context.WithCancel(serving)
	var guard, actors sync.WaitGroup
	for id, act := range []actor{
		s.fetch, s.fetch, s.fetch, s.fetch, s.fetchSlowly, s.fetchMoving, s.runClient, s.interruptClient, s.beHostile,
		s.beHostile, s.beHostile, s.beHostile, s.beHostile, s.beHostile,
	} {
		chance := rand.New(rand.NewPCG(s.seed, uint64(id)))
		actors.Go(func() { s.act(acting, serving, act, chance) })
	}
	guard.Go(func() { s.guard(serving, cut) })
	err := s.operate(serving, rand.New(rand.NewPCG(s.seed, 1000)))
	stop()
	if err != nil {
		cut()
	}
	actors.Wait()
	cut()
	guard.Wait()
	return errors.Join(err, ctx.Err())
}

// startFirst starts the first server. How long that takes, with as little of this machine as the server may have, says
// how slow a server may be.
func (s *session) startFirst(ctx context.Context) error {
	usual := harness.Patience
	if s.starved > 0 {
		harness.Patience = time.Duration(float64(usual) * 100 / s.starved)
	}
	begin := time.Now()
	err := s.start(ctx)
	slow := 4 * time.Since(begin)
	harness.Patience, harness.Slack = max(usual, slow), max(harness.Slack, slow)
	return err
}

func (s *session) act(acting, serving context.Context, act actor, chance *rand.Rand) {
	for acting.Err() == nil {
		s.calm.RLock()
		act(serving, chance)
		s.calm.RUnlock()
	}
}

// pause waits, but not longer than ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
