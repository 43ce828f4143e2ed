package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"daemonlab/specs/harness"
)

// stall is the server's --stall: how long it tolerates a client that takes nothing.
const stall = 2 * time.Second

// session is one run.
type session struct {
	options
	ledger
	programs harness.Programs
	place    harness.Place
	files    []file
	server   *harness.Server                // managed by the operator
	living   atomic.Pointer[harness.Server] // the server; nil while the operator ends it
	group    string                         // the server's control group, "" for none

	calm    sync.RWMutex // actors hold it for reading while they act
	orphans []string     // queues left by killed clients; used by one actor only
	sights  []sight      // of the server that lives on
	races   int
}

// prepare creates what the server needs. The caller calls clear, also after a failure.
func (s *session) prepare() (err error) {
	in := func(name string) string { return filepath.Join(s.work, name) }
	s.programs = harness.Programs{Server: in("mqfiled"), Client: in("mqfile"), Launcher: in("launch")}
	if err := harness.AdoptOrphans(); err != nil {
		return err
	}
	if s.place, err = harness.NewPlace(); err != nil {
		return err
	}
	if s.files, err = makeFiles(s.place); err == nil && s.race {
		err = os.Setenv("GORACE", raceOptions+s.racePath())
	}
	if err == nil && s.starved > 0 {
		err = s.starve()
	}
	return err
}

// starve wraps the server's program in a script that enters a control group, so that its start is starved too.
func (s *session) starve() (err error) {
	if s.group, err = harness.StarvedGroup(s.starved); err != nil {
		return fmt.Errorf("--starved: %w", err)
	}
	script := fmt.Sprintf("#!/bin/sh\necho 0 >%s/cgroup.procs && exec '%s' \"$@\"\n", s.group, s.programs.Server)
	s.programs.Server += ".starved"
	return os.WriteFile(s.programs.Server, []byte(script), 0o755)
}

// clear ends and removes everything; queues last, so that nobody makes another.
func (s *session) clear() error {
	if s.server != nil {
		s.server.Close()
	}
	err := harness.KillAdopted()
	if s.group != "" {
		err = errors.Join(err, harness.RemoveGroup(s.group))
	}
	s.unlinkOrphans(0)
	if s.race {
		s.races = s.showRaces()
	}
	s.place.Remove()
	return err
}

// run runs the operator among actors that act repeatedly. Actions begun before it ends are judged too.
func (s *session) run(ctx context.Context) error {
	if err := s.startFirst(ctx); err != nil {
		return err
	}
	serving, cut := context.WithCancel(ctx)
	acting, stop := context.WithCancel(serving)
	var guard, actors sync.WaitGroup
	for id, act := range []func(context.Context, *rand.Rand){
		s.fetch, s.fetch, s.fetch, s.fetch, s.fetchSlowly, s.fetchMoving, s.runClient, s.interruptClient, s.beHostile,
		s.beHostile, s.beHostile, s.beHostile, s.beHostile, s.beHostile,
	} {
		chance := rand.New(rand.NewPCG(s.seed, uint64(id)))
		actors.Go(func() {
			for acting.Err() == nil {
				s.calm.RLock()
				act(serving, chance)
				s.calm.RUnlock()
			}
		})
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

// startFirst starts the first server. The time this takes, with as little CPU as the server may have, calibrates how
// slow a server may be.
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

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// file is a file that does not change.
type file struct {
	name    string
	content []byte
}

// sizes of the files in bytes, shortest first: most requests are for those.
var sizes = []int{0, 1, 255, 256, 257, 1000, 1000, 1000, 4096, 8191, 8192, 8193, 65536, 100_000, 1 << 20, 4 << 20}

const (
	short  = 12 // files
	moving = 4  // files that change while they are sent
)

func makeFiles(place harness.Place) (files []file, err error) {
	source := rand.NewChaCha8([32]byte{})
	for i, size := range sizes {
		f := file{fmt.Sprintf("file-%d", i), make([]byte, size)}
		source.Read(f.content)
		if err := place.WriteFile(f.name, f.content); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// choose picks any file, nearly always a short one.
func (s *session) choose(chance *rand.Rand) file {
	if chance.IntN(8) > 0 {
		return s.files[chance.IntN(short)]
	}
	return s.files[chance.IntN(len(s.files))]
}

// large returns a file that takes a slow client a while.
func (s *session) large() file { return s.files[len(s.files)-1] }

// move changes a moving file and returns its name. Errors do not matter: another change was faster.
func (s *session) move(chance *rand.Rand) string {
	name := fmt.Sprintf("moving-%d", chance.IntN(moving))
	path := filepath.Join(s.place.Root, name)
	size := chance.Int64N(300_000)
	switch chance.IntN(5) {
	case 0:
		os.Remove(path)
	case 1:
		os.Truncate(path, size)
	case 2:
		os.Chmod(path, 0)
	case 3:
		os.Chmod(path, 0o644)
	default:
		s.place.WriteFile(name, make([]byte, size))
	}
	return name
}
