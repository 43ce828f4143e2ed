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

// at returns a moment of a test's own time, in seconds; 0 is the zero time.
func at(seconds float64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, 0).Add(time.Duration(seconds * float64(time.Second)))
}

func TestExcuses(t *testing.T) {
	usual := harness.Slack
	t.Cleanup(func() { harness.Slack = usual })
	type found struct{ excused, absent, stopping bool }
	for _, c := range []struct {
		what                   string
		from, till, back       float64
		begin, sent, last, end float64
		want                   found
		slow                   time.Duration // of a starved server
	}{
		{killed, 10, 11, 12, 5, 6, 9, 9, found{false, false, false}, 0},
		{killed, 10, 11, 12, 5, 6, 9, 10.5, found{true, true, false}, 0},
		{killed, 10, 11, 12, 11.5, 11.6, 15, 20, found{false, true, false}, 0}, // queued when the next server came
		{killed, 10, 0, 0, 5, 6, 15, 20, found{true, true, false}, 0},
		{stopped, 10, 15, 16, 5, 6, 13, 20, found{false, true, true}, 0}, // received before, so it must be answered
		{stopped, 10, 15, 16, 5, 6, 13, 20, found{true, true, true}, 2 * time.Second},
		{stopped, 10, 15, 16, 5, 6, 14.5, 20, found{true, true, true}, 0}, // until the end of grace
		{stopped, 10, 11, 12, 9, 10.5, 9, 20, found{true, true, true}, 0},
		{stopped, 10, 11, 12, 11.5, 11.6, 15, 20, found{false, true, false}, 0},
		{stopped, 10, 11, 12, 12.5, 12.6, 15, 20, found{false, false, false}, 0},
		{unlinked, 10, 11, 11, 9.9, 11.1, 15, 20, found{true, true, false}, 0},
		{unlinked, 10, 11, 11, 9, 9.5, 15, 20, found{false, true, false}, 0},
	} {
		harness.Slack = usual + c.slow
		l := ledger{troubles: []*trouble{{what: c.what, from: at(c.from), till: at(c.till), back: at(c.back)}}}
		x := exchange{begin: at(c.begin), sent: at(c.sent), last: at(c.last), end: at(c.end)}
		if got := (found{l.excused(x) != "", l.absent(x), l.stopping(x)}); got != c.want {
			t.Errorf("%+v: %+v", c, got)
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
		t.Error("a single measurement passes as no growth")
	}
}

// Faults of a server are found.
func TestLosses(t *testing.T) {
	patience := harness.Patience
	harness.Patience = 100 * time.Millisecond
	t.Cleanup(func() { harness.Patience = patience })
	send := func(kind uint, body ...byte) func(*session, *harness.Conversation) error {
		return func(_ *session, c *harness.Conversation) error { return c.Send(t.Context(), kind, body) }
	}
	steps := map[string]func(*session, *harness.Conversation) error{
		"INFO": send(wire.Info, wire.AppendInfo(nil, 1)...), "right": send(wire.Data, 0), "wrong": send(wire.Data, 1),
		"END": send(wire.End), "FAILURE": send(wire.Failure, 0),
		"slow": func(*session, *harness.Conversation) error { // by the session's clock
			ctx, cancel := harness.WithTimeout(t.Context(), 3*harness.Patience)
			defer cancel()
			<-ctx.Done()
			return nil
		},
		"others": func(s *session, _ *harness.Conversation) error {
			for range passed {
				s.count(checked)
			}
			return nil
		},
	}
	for answer, lost := range map[string]int{
		"INFO right END": 0, "INFO wrong END": 1, "INFO right": 1, "": 1, "FAILURE": 1,
		"INFO slow right END": 0, "others slow others slow INFO right END": 1, "full INFO right END": 0,
	} {
		t.Run(answer, func(t *testing.T) {
			f, err := harness.NewFakeServer()
			must(t, err)
			defer f.Close()
			s := &session{place: harness.Place{Queue: f.Queue}}
			judged, end := context.WithCancel(t.Context())
			answer, full := strings.CutPrefix(answer, "full ") // the queue is full for a while
			if full {
				must(t, harness.SendRaw(t.Context(), f.Queue, []byte("x")))
			}
			go func() {
				defer end()
				s.exchange(t.Context(), harness.Small, "file", 0, 0, file{content: []byte{0}}.check)
			}()
			if full {
				steps["slow"](s, nil)
				f.Accept(judged, "x")
			}
			conversation, err := f.Accept(judged, "file")
			must(t, err)
			for step := range strings.FieldsSeq(answer) {
				must(t, steps[step](s, conversation))
			}
			<-judged.Done()
			conversation.Close()
			if len(s.losses) != lost {
				t.Errorf("%d lost, expected %d: %q", len(s.losses), lost, s.losses)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
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

// A race reported by several servers counts once.
func TestRaces(t *testing.T) {
	const line = "==================\n"
	report := func(address string, by int, what string) string {
		return fmt.Sprintf("%sWARNING: DATA RACE\nRead at %s by goroutine %d:\n  %s\n\nGoroutine %d (running) created at:\n%s", line, address, by, what, by, line)
	}
	s := &session{place: harness.Place{Log: filepath.Join(t.TempDir(), "log")}}
	for pid, text := range []string{
		report("0x1", 7, "main.f()") + report("0x2", 8, "main.g()") + "Found 2 data race(s)\n", report("0x3", 9, "main.f()"),
	} {
		must(t, os.WriteFile(fmt.Sprint(s.racePath(), ".", pid), []byte(text), 0o600))
	}
	if races := s.showRaces(); races != 2 {
		t.Errorf("%d races, expected 2", races)
	}
}

// What counts is when a silent server's last response came, not when the silence was noticed: that may be at its end.
func TestTheLastResponse(t *testing.T) {
	f, err := harness.NewFakeServer()
	must(t, err)
	defer f.Close()
	c, err := harness.NewClient(harness.Small)
	must(t, err)
	defer c.Close()
	s, x := session{}, exchange{begin: time.Now()}
	s.begin(killed)
	must(t, c.Request(t.Context(), f.Queue, "file"))
	conversation, err := f.Accept(t.Context(), "file")
	must(t, err)
	defer conversation.Close()
	must(t, conversation.Send(t.Context(), wire.Info, wire.AppendInfo(nil, 1)))
	ended, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	e, err := s.finish(ended, c, &x, "file", 0, 0)
	if !errors.Is(err, harness.ErrSilent) || len(e.Messages) != 1 || x.last.Before(x.begin) {
		t.Errorf("%v after %v: the last came %v before the begin", err, e.Summary(), x.begin.Sub(x.last))
	}
}

// A client program that gave up after 10 s is right, and so may be a starved server.
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

// A few seconds of everything, and an interrupt in the middle, which leaves nothing.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 30 seconds")
	}
	must(t, harness.AdoptOrphans())
	for _, interrupt := range []bool{false, true} {
		dir, err := os.MkdirTemp("", "soak-test-")
		must(t, err)
		defer os.RemoveAll(dir)
		os.Chmod(dir, 0o755) // for the account that the server becomes
		cmd := exec.Command("../../scripts/soak", "--seed", "1", "0.3")
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
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
