package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

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
