package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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

// lookAtServer waits until nobody does anything, and the server is done with what it was asked for: it closes the last
// queue when its client has taken nothing for the stall.
func (s *session) lookAtServer(ctx context.Context) error {
	s.calm.Lock()
	defer s.calm.Unlock()
	var seen sight
	all, same := harness.NewStopwatch(), harness.NewStopwatch()
	for ; same.Within(stall+harness.Slack/2) && all.Within(hang()); pause(ctx, 20*time.Millisecond) {
		descriptors, err := s.server.OpenFiles()
		status, statusErr := s.server.Process.Status()
		if ctx.Err() != nil || !s.server.Alive() {
			return nil // the guard says why
		}
		if err := cmp.Or(err, statusErr); err != nil {
			return err
		}
		if descriptors != seen.descriptors {
			same = harness.NewStopwatch()
		}
		seen = sight{descriptors, status.Threads, status.VmRSS}
	}
	s.sights = append(s.sights, seen)
	fmt.Printf("calm  %9d requests so far: the server has %v\n", s.counted(requests), seen)
	return nil
}

// The least that is growth: Go never gives a thread back, and takes one more when all happen to be in system calls. The
// race detector keeps several words for each that is in use.
const (
	moreThreads    = 8
	moreMemory     = 8 << 20 // bytes
	moreMemoryRace = 8 * moreMemory
)

// grown tells what has grown from the first sight to the last, "" for nothing.
func (s *session) grown() string {
	if len(s.sights) < 2 {
		return "nothing was compared"
	}
	memory := uint64(moreMemory)
	if s.race {
		memory = moreMemoryRace
	}
	switch first, last := s.sights[0], s.sights[len(s.sights)-1]; {
	case last.descriptors > first.descriptors:
		return fmt.Sprintf("%d more descriptors", last.descriptors-first.descriptors)
	case last.threads > first.threads+moreThreads:
		return fmt.Sprintf("%d more threads", last.threads-first.threads)
	case last.memory > first.memory+memory:
		return fmt.Sprintf("%d more bytes of memory", last.memory-first.memory)
	}
	return ""
}

// report prints everything and reports whether all is well.
func (s *session) report() bool {
	fmt.Println("\ndone:")
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		fmt.Printf("  %9d  %s\n", s.counts[what], what)
	}
	fmt.Printf("\nlost: %d\n", len(s.losses))
	for _, loss := range s.losses {
		fmt.Println("  " + loss)
	}
	if s.race {
		fmt.Printf("\nraces: %d\n", s.races)
	}
	if n := len(s.sights); n > 1 {
		fmt.Printf("\none server, first seen: %v\n             last seen: %v\n", s.sights[0], s.sights[n-1])
	}
	grown := s.grown()
	fmt.Println("grown:", cmp.Or(grown, "nothing"))
	return len(s.losses) == 0 && grown == "" && s.races == 0
}

// guard notices a server that ends though nobody has told it to, and cuts everybody off: they would wait in vain.
func (s *session) guard(ctx context.Context, cut func()) {
	for last := false; !last; {
		pause(ctx, 100*time.Millisecond)
		last = ctx.Err() != nil
		server := s.living.Load()
		if server == nil || server.Alive() || !s.living.CompareAndSwap(server, nil) {
			continue
		}
		cut()
		status, _ := server.WaitForEnd(context.Background())
		s.died(status)
	}
}

// died keeps how a server has ended by itself, and shows what it said of that.
func (s *session) died(status unix.WaitStatus) {
	how := fmt.Sprintf("exit status %d", status.ExitStatus())
	if status.Signaled() {
		how = unix.SignalName(status.Signal())
	}
	before, _ := os.ReadFile(s.place.Log + ".1")
	log, _ := os.ReadFile(s.place.Log)
	s.lose("the server died by itself: %s", how)
	fmt.Println(lastWords(string(before) + string(log)))
}

// crash is how the Go runtime begins to tell why it ends the process.
var crash = regexp.MustCompile(`(?m)^(panic|fatal error|runtime|SIG[A-Z]+): `)

// lastWords are what a log says of the end of its server.
func lastWords(log string) string {
	log = strings.TrimSpace(log[max(0, len(log)-64<<10):])
	if at := crash.FindStringIndex(log); at != nil {
		lines := strings.Split(log[at[0]:], "\n")
		return "Its log says:\n" + strings.Join(lines[:min(len(lines), 60)], "\n")
	}
	lines := strings.Split(log, "\n")
	return "Its log does not say why:\n" + strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// raceOptions let a process go on after a report and end as if there had been none. See racePath for where it goes.
const raceOptions = "halt_on_error=0 exitcode=0 atexit_sleep_ms=0 log_path="

// racePath is where the account that the server becomes may write. A process adds a dot and its PID.
func (s *session) racePath() string { return filepath.Join(filepath.Dir(s.place.Log), "race") }

// varying is what tells two reports of one race apart.
var varying = regexp.MustCompile(`0x[0-9a-f]+|goroutine \d+`)

// showRaces prints each race that the detector has reported and returns how many they are.
func (s *session) showRaces() int {
	files, _ := filepath.Glob(s.racePath() + ".*")
	seen := map[string]bool{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			text = []byte(err.Error())
		}
		for report := range strings.SplitSeq(string(text), "==================\n") {
			stacks, _, _ := strings.Cut(report, "\n\nGoroutine ")
			race := varying.ReplaceAllString(stacks, "")
			if seen[race] || report == "" || strings.HasPrefix(report, "Found ") {
				continue
			}
			seen[race] = true
			fmt.Printf("\n%s", report)
		}
	}
	return len(seen)
}
