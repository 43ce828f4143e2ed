package main

import (
	"context"
	"fmt"
	"time"

	"daemonlab/specs/harness"
)

// sight is the size of a server that does nothing.
type sight struct {
	descriptors, threads int
	memory               uint64 // resident, bytes
}

func (v sight) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %.1f MiB", v.descriptors, v.threads, float64(v.memory)/(1<<20))
}

// growth is the first and the last sight of the server that lives on.
type growth struct{ sights []sight }

// The least that is growth: Go never gives a thread back, and takes one more when all happen to be in system calls. The
// race detector keeps several words for each that is in use.
const (
	moreThreads    = 8
	moreMemory     = 8 << 20 // bytes
	moreMemoryRace = 8 * moreMemory
)

// grown tells what has grown since the first sight, "" for nothing.
func (g growth) grown(moreMemory uint64) string {
	if len(g.sights) < 2 {
		return "nothing was compared"
	}
	first, last := g.sights[0], g.sights[len(g.sights)-1]
	switch {
	case last.descriptors > first.descriptors:
		return fmt.Sprintf("%d more descriptors", last.descriptors-first.descriptors)
	case last.threads > first.threads+moreThreads:
		return fmt.Sprintf("%d more threads", last.threads-first.threads)
	case last.memory > first.memory+moreMemory:
		return fmt.Sprintf("%d more bytes of memory", last.memory-first.memory)
	}
	return ""
}

// lookAtServer waits until nobody does anything, and the server is done with what it was asked for.
func (s *session) lookAtServer(ctx context.Context) error {
	s.calm.Lock()
	defer s.calm.Unlock()
	var seen sight
	for since, end := time.Now(), time.Now().Add(hang()); ; pause(ctx, 20*time.Millisecond) {
		v, err := look(s.server)
		if ctx.Err() != nil || !s.server.Alive() {
			return nil // the guard says why
		}
		if err != nil {
			return err
		}
		if v.descriptors != seen.descriptors {
			since = time.Now()
		}
		seen = v
		if time.Since(since) > stall+stall/4 || time.Now().After(end) {
			break
		}
	}
	s.growth.sights = append(s.growth.sights, seen)
	fmt.Printf("calm  %9d requests so far: the server has %v\n", s.counted(requests), seen)
	return nil
}

func look(server *harness.Server) (sight, error) {
	descriptors, err := server.OpenFiles()
	if err != nil {
		return sight{}, err
	}
	status, err := server.Process.Status()
	return sight{descriptors, status.Threads, status.VmRSS}, err
}
