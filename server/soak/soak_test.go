package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// at is a moment of a test's own time, in seconds; 0 is none.
func at(seconds float64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, 0).Add(time.Duration(seconds * float64(time.Second)))
}

func TestExcuses(t *testing.T) {
	usual := harness.Slack
	t.Cleanup(func() { harness.Slack = usual })
	for _, c := range []struct {
		what                       string
		from, till, back           float64
		begin, sent, last, end     float64
		excused, absent, stopsayso bool
		slack                      time.Duration // of a starved server
	}{
		{killed, 10, 11, 12, 5, 6, 9, 9, false, false, false, 0},
		{killed, 10, 11, 12, 5, 6, 9, 10.5, true, true, false, 0},
		{killed, 10, 11, 12, 11.5, 11.6, 15, 20, false, true, false, 0}, // in the queue when the next server came
		{killed, 10, 0, 0, 5, 6, 15, 20, true, true, false, 0},
		{stopped, 10, 15, 16, 5, 6, 13, 20, false, true, true, 0}, // taken before, so it has to be answered
		{stopped, 10, 15, 16, 5, 6, 13, 20, true, true, true, 2 * time.Second},
		{stopped, 10, 15, 16, 5, 6, 14.5, 20, true, true, true, 0}, // until the end of the grace
		{stopped, 10, 11, 12, 9, 10.5, 9, 20, true, true, true, 0},
		{stopped, 10, 11, 12, 11.5, 11.6, 15, 20, false, true, false, 0},
		{stopped, 10, 11, 12, 12.5, 12.6, 15, 20, false, false, false, 0},
		{unlinked, 10, 11, 11, 9.9, 11.1, 15, 20, true, true, false, 0},
		{unlinked, 10, 11, 11, 9, 9.5, 15, 20, false, true, false, 0},
	} {
		harness.Slack = usual + c.slack
		l := ledger{troubles: []*trouble{{what: c.what, from: at(c.from), till: at(c.till), back: at(c.back)}}}
		x := exchange{begin: at(c.begin), sent: at(c.sent), last: at(c.last), end: at(c.end)}
		if got := l.excused(x) != ""; got != c.excused {
			t.Errorf("%+v: excused %v", c, got)
		}
		if got := l.absent(x); got != c.absent {
			t.Errorf("%+v: absent %v", c, got)
		}
		if got := l.stopping(x); got != c.stopsayso {
			t.Errorf("%+v: stopping %v", c, got)
		}
	}
}

func TestGrowth(t *testing.T) {
	first := sight{descriptors: 13, threads: 9, memory: 10 << 20}
	for _, c := range []struct {
		last  sight
		grown bool
	}{
		{first, false},
		{sight{12, 17, 18 << 20}, false},
		{sight{14, 9, 10 << 20}, true},
		{sight{13, 18, 10 << 20}, true},
		{sight{13, 9, 18<<20 + 1}, true},
	} {
		s := session{sights: []sight{first, {descriptors: 99}, c.last}}
		if got := s.grown(); (got != "") != c.grown {
			t.Errorf("%v after %v: grown %q", c.last, first, got)
		}
	}
	if (&session{sights: []sight{first}}).grown() == "" {
		t.Error("one look tells of no growth")
	}
}

// What a server does wrong is found.
func TestLosses(t *testing.T) {
	patience := harness.Patience
	harness.Patience = 100 * time.Millisecond
	t.Cleanup(func() { harness.Patience = patience })
	send := func(kind uint, body []byte) func(*testing.T, *harness.Conversation) {
		return func(t *testing.T, c *harness.Conversation) {
			if err := c.Send(t.Context(), kind, body); err != nil {
				t.Error(err)
			}
		}
	}
	info := send(wire.Info, wire.AppendInfo(nil, 1))
	right, wrong := send(wire.Data, []byte{0}), send(wire.Data, []byte{1})
	end := send(wire.End, nil)
	var s *session
	slow := func(t *testing.T, _ *harness.Conversation) { // by the clock that the session goes by
		ctx, cancel := harness.WithTimeout(t.Context(), 3*harness.Patience)
		defer cancel()
		<-ctx.Done()
	}
	others := func(*testing.T, *harness.Conversation) {
		for range passed {
			s.count(checked)
		}
	}
	for name, c := range map[string]struct {
		answers []func(*testing.T, *harness.Conversation)
		lost    int
	}{
		"right":       {[]func(*testing.T, *harness.Conversation){info, right, end}, 0},
		"wrong bytes": {[]func(*testing.T, *harness.Conversation){info, wrong, end}, 1},
		"no END":      {[]func(*testing.T, *harness.Conversation){info, right}, 1},
		"no answer":   {nil, 1},
		"slow":        {[]func(*testing.T, *harness.Conversation){info, slow, right, end}, 0},
		"forgotten":   {[]func(*testing.T, *harness.Conversation){others, slow, others, slow, info, right, end}, 1},
		"FAILURE":     {[]func(*testing.T, *harness.Conversation){send(wire.Failure, []byte("no"))}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := harness.NewFakeServer()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s = &session{place: harness.Place{Queue: f.Queue}}
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.exchange(t.Context(), harness.Small, "file", 0, 0, file{content: []byte{0}}.check)
			}()
			conversation, err := f.Accept(t.Context(), "file")
			if err != nil {
				t.Fatal(err)
			}
			for _, answer := range c.answers {
				answer(t, conversation)
			}
			<-done
			conversation.Close()
			if len(s.losses) != c.lost {
				t.Errorf("%d lost, expected %d: %q", len(s.losses), c.lost, s.losses)
			}
		})
	}
}

func TestLastWords(t *testing.T) {
	crash := "SIGSEGV: segmentation violation\nPC=0x1\n" + strings.Repeat("main.f()\n", 200)
	for _, c := range []struct{ log, begin, end string }{
		{"a line\n" + crash, "Its log says:\nSIGSEGV: ", "main.f()"},
		{"a line\npanic: no\n\ngoroutine 1 [running]:\n", "Its log says:\npanic: no\n", "[running]:"},
		{strings.Repeat("a line\n", 100_000) + "the last\n", "Its log does not say why:\na line\n", "the last"},
		{"", "Its log does not say why:\n", ""},
	} {
		got := lastWords(c.log)
		if !strings.HasPrefix(got, c.begin) || !strings.HasSuffix(got, c.end) || strings.Count(got, "\n") > 60 {
			t.Errorf("of a log that begins %.30q: %q", c.log, got)
		}
	}
}

// One race that several servers have reported is one.
func TestRaces(t *testing.T) {
	const line = "==================\n"
	report := func(address string, by int, what string) string {
		return fmt.Sprintf("%sWARNING: DATA RACE\nRead at %s by goroutine %d:\n  %s\n\nGoroutine %d (running) created at:\n%s", line, address, by, what, by, line)
	}
	s := &session{place: harness.Place{Log: filepath.Join(t.TempDir(), "log")}}
	for pid, text := range []string{
		report("0x1", 7, "main.f()") + report("0x2", 8, "main.g()") + "Found 2 data race(s)\n", report("0x3", 9, "main.f()"),
	} {
		if err := os.WriteFile(fmt.Sprint(s.racePath(), ".", pid), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if races := s.showRaces(); races != 2 {
		t.Errorf("%d races, expected 2", races)
	}
}

// Of a silent server counts when its last response came, not when the silence was noticed: that may be at its end.
func TestTheLastResponse(t *testing.T) {
	f, err := harness.NewFakeServer()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := harness.NewClient(harness.Small)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, x := session{}, exchange{begin: time.Now()}
	s.begin(killed)
	if err := c.Request(t.Context(), f.Queue, "file"); err != nil {
		t.Fatal(err)
	}
	conversation, err := f.Accept(t.Context(), "file")
	if err != nil {
		t.Fatal(err)
	}
	defer conversation.Close()
	if err := conversation.Send(t.Context(), wire.Info, wire.AppendInfo(nil, 1)); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	e, err := s.finish(ended, c, &x, "file", 0, 0)
	if !errors.Is(err, harness.ErrSilent) || len(e.Messages) != 1 || x.last.Before(x.begin) {
		t.Errorf("%v after %v: the last came %v before the begin", err, e.Summary(), x.begin.Sub(x.last))
	}
}

// A client program that got nothing for 10 s is right, and so may be a starved server.
func TestExcusedProgram(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		exit    int
		stderr  string
		starved float64
		others  int // answered meanwhile
		trouble string
		excused bool
	}{
		{3, "", 0, passed - 1, "", true},
		{3, "", 0, passed, "", false},
		{3, "", 3, passed, "", true},
		{3, "", 0, passed, killed, true},
		{1, "mqfile: stopping", 3, 0, "", false},
		{1, "mqfile: stopping", 0, 0, stopped, true},
		{1, "mqfile: no such file", 3, 0, stopped, false},
		{0, "", 3, 0, killed, false},
	} {
		s := session{options: options{starved: c.starved}}
		silence := s.silent()
		for range c.others {
			s.count(checked)
		}
		if c.trouble != "" {
			s.begin(c.trouble)
		}
		got := s.excusedProgram(harness.Ended{Exit: c.exit, Stderr: c.stderr}, exchange{begin: now, sent: time.Now(), end: time.Now()}, silence)
		if (got != "") != c.excused {
			t.Errorf("%+v: excused as one that %q", c, got)
		}
	}
}

// A few seconds of it all, and an interruption in the middle, which leaves nothing.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 30 seconds")
	}
	if err := harness.AdoptOrphans(); err != nil {
		t.Fatal(err)
	}
	for _, interrupt := range []bool{false, true} {
		dir, err := os.MkdirTemp("", "soak-test-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		os.Chmod(dir, 0o755) // for the account that the server becomes
		cmd := exec.Command("../../scripts/soak", "--seed", "1", "0.3")
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Fprintln(t.Output(), lines.Text())
			if interrupt && strings.HasPrefix(lines.Text(), "calm") {
				cmd.Process.Signal(unix.SIGTERM)
			}
		}
		cmd.Wait()
		if got, want := cmd.ProcessState.ExitCode(), map[bool]int{false: 0, true: 130}[interrupt]; got != want {
			t.Errorf("exit status %d, expected %d", got, want)
		}
		files, _ := filepath.Glob(dir + "/*")
		queues, _ := filepath.Glob(fmt.Sprintf("/dev/mqueue/spec-*-%d-*", cmd.Process.Pid))
		processes, err := harness.Adopted()
		if len(files)+len(queues)+len(processes) > 0 || err != nil {
			t.Errorf("left: %q, %q, %v (%v)", files, queues, processes, err)
		}
	}
}
