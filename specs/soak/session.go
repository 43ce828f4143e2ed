package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
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

	calm     sync.RWMutex // actors hold it for reading while they act
	starting sync.RWMutex // for writing while a server starts, whose daemon is searched among all processes
	orphans  orphans
	growth   growth
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
	if s.files, err = makeFiles(s.place); err != nil {
		s.place.Remove()
		return nil, err
	}
	return s, nil
}

// clear ends what is left, also after a failure, and removes what it has made.
func (s *session) clear() error {
	if s.server != nil {
		s.server.Signal(unix.SIGTERM)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.server.WaitForEnd(ctx)
		s.server.Close()
	}
	err := harness.KillAdopted()
	s.orphans.removeAll(&s.ledger)
	s.place.Remove()
	return err
}

// actor is what goes on all the time: one deed after the other.
type actor func(ctx context.Context, chance *rand.Rand)

// run lets the operator do his work among the actors.
func (s *session) run(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	acting, stop := context.WithCancel(ctx)
	var actors sync.WaitGroup
	for id, act := range []actor{
		s.fetch, s.fetch, s.fetch, s.fetch, s.fetchSlowly, s.fetchMoving, s.runClient, s.interruptClient, s.beHostile,
		s.beHostile, s.beHostile, s.beHostile, s.beHostile, s.beHostile,
	} {
		chance := rand.New(rand.NewPCG(s.seed, uint64(id)))
		actors.Go(func() { s.act(acting, act, chance) })
	}
	err := s.operate(ctx, rand.New(rand.NewPCG(s.seed, 1000)))
	stop()
	actors.Wait()
	return errors.Join(err, ctx.Err())
}

func (s *session) act(ctx context.Context, act actor, chance *rand.Rand) {
	for ctx.Err() == nil {
		s.calm.RLock()
		act(ctx, chance)
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
