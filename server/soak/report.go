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

// sight is a measurement of an idle server.
type sight struct {
	descriptors, threads int
	memory               uint64 // resident, bytes
}

func (v sight) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %.1f MiB", v.descriptors, v.threads, float64(v.memory)/(1<<20))
}

// lookAtServer waits until all actors pause and the server has finished its work: it closes the last queue once its
// client has taken nothing for the stall.
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

// Thresholds of growth: Go never releases a thread, and adds one whenever all are in system calls. The race detector
// keeps several words for each word in use.
const (
	moreThreads    = 8
	moreMemory     = 8 << 20 // bytes
	moreMemoryRace = 8 * moreMemory
)

// grown says what has grown from the first measurement to the last, "" if nothing.
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

// report prints everything and reports whether the run passed.
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

// guard detects a server that ended unasked, and cuts off all actors: they would wait in vain.
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

// died records how a server ended by itself, and prints what it logged about it.
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

// crash matches the start of the Go runtime's message when it ends the process.
var crash = regexp.MustCompile(`(?m)^(panic|fatal error|runtime|SIG[A-Z]+): `)

// lastWords returns what a log says about its server's end.
func lastWords(log string) string {
	log = strings.TrimSpace(log[max(0, len(log)-64<<10):])
	if at := crash.FindStringIndex(log); at != nil {
		lines := strings.Split(log[at[0]:], "\n")
		return "Its log says:\n" + strings.Join(lines[:min(len(lines), 60)], "\n")
	}
	lines := strings.Split(log, "\n")
	return "Its log does not say why:\n" + strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// raceOptions let a process continue after a race report and exit normally. See racePath for the destination.
const raceOptions = "halt_on_error=0 exitcode=0 atexit_sleep_ms=0 log_path="

// racePath is writable for the daemon's account. Each process appends a dot and its PID.
func (s *session) racePath() string { return filepath.Join(filepath.Dir(s.place.Log), "race") }

// varying matches what differs between two reports of the same race.
var varying = regexp.MustCompile(`0x[0-9a-f]+|goroutine \d+`)

// showRaces prints each distinct race reported and returns their number.
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
