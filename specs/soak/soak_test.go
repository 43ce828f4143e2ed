package main

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

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
	for _, c := range []struct {
		what                       string
		from, till, back           float64
		begin, sent, last, end     float64
		excused, absent, stopsayso bool
	}{
		{killed, 10, 11, 12, 5, 6, 9, 9, false, false, false},
		{killed, 10, 11, 12, 5, 6, 9, 10.5, true, true, false},
		{killed, 10, 11, 12, 11.5, 11.6, 15, 20, false, true, false}, // in the queue when the next server came
		{killed, 10, 0, 0, 5, 6, 15, 20, true, true, false},
		{stopped, 10, 15, 16, 5, 6, 13, 20, false, true, true},  // taken before, so it has to be answered
		{stopped, 10, 15, 16, 5, 6, 14.5, 20, true, true, true}, // until the end of the grace
		{stopped, 10, 11, 12, 9, 10.5, 9, 20, true, true, true},
		{stopped, 10, 11, 12, 11.5, 11.6, 15, 20, false, true, false},
		{stopped, 10, 11, 12, 12.5, 12.6, 15, 20, false, false, false},
		{unlinked, 10, 11, 11, 9.9, 11.1, 15, 20, true, true, false},
		{unlinked, 10, 11, 11, 9, 9.5, 15, 20, false, true, false},
	} {
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
		g := growth{sights: []sight{first, {descriptors: 99}, c.last}}
		if got := g.grown() != ""; got != c.grown {
			t.Errorf("%v after %v: grown %q", c.last, first, g.grown())
		}
	}
	if (growth{sights: []sight{first}}).grown() == "" {
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
	for name, c := range map[string]struct {
		answers []func(*testing.T, *harness.Conversation)
		lost    int
	}{
		"right":       {[]func(*testing.T, *harness.Conversation){info, right, end}, 0},
		"wrong bytes": {[]func(*testing.T, *harness.Conversation){info, wrong, end}, 1},
		"no END":      {[]func(*testing.T, *harness.Conversation){info, right}, 1},
		"no answer":   {nil, 1},
		"FAILURE":     {[]func(*testing.T, *harness.Conversation){send(wire.Failure, []byte("no"))}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := harness.NewFakeServer()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s := &session{place: harness.Place{Queue: f.Queue}}
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.exchange(t.Context(), harness.Small, "file", 0, 0, fileOf([]byte{0}).check)
			}()
			conversation, err := f.Accept(t.Context())
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

// A few seconds of it all.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 seconds")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../scripts/soak", "--seed", "1", "0.3")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
