package bursts

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"daemonlab/lab/parts"
)

func TestMain(m *testing.M) {
	parts.Play()
	os.Exit(m.Run())
}

// The ledger rejects every message except the one due.
func TestLedger(t *testing.T) {
	load := Load{Senders: 2, Priorities: 2}
	for what, c := range map[string]struct {
		msg  []byte
		prio uint
	}{
		"one message later":    {encode(1, 1, 2), 1},
		"one message again":    {encode(1, 1, 0), 1},
		"another priority":     {encode(1, 1, 1), 0},
		"no such sender":       {encode(2, 0, 0), 0},
		"no such priority":     {encode(0, 2, 0), 2},
		"a message cut short":  {encode(0, 0, 0)[:7], 0},
		"a message that grew":  {append(encode(0, 0, 0), 0), 0},
		"a message of nothing": {nil, 0},
	} {
		t.Run(what, func(t *testing.T) {
			ledger := newLedger(load)
			if err := ledger.enter(encode(1, 1, 0), 1); err != nil {
				t.Fatal(err)
			}
			if err := ledger.enter(c.msg, c.prio); err == nil {
				t.Error("it was entered")
			}
			if err := ledger.enter(encode(1, 1, 1), 1); err != nil {
				t.Error("the one that is due:", err)
			}
		})
	}
}

// Whatever the load, a server that lost a wake-up is found and woken at once.
func TestRunFindsEverySleeper(t *testing.T) {
	load := Load{Senders: 3, Rounds: 20, Bursts: 1, Messages: 5, Priorities: 2, Depth: 2, Seed: 1}
	r, err := Run(t.Context(), RearmTakeOne, load)
	if err != nil {
		t.Fatal(err)
	}
	if r.Messages != 300 || r.Stuck < 18 || r.Lost < r.Stuck || r.Rounds != 20 {
		t.Errorf("%+v", r)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	load := Usual(1)
	load.Rounds = 1 << 30
	_, err := Run(ctx, RearmDrain, load)
	if err == nil || !strings.Contains(err.Error(), "seed 1") || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Fatal(err)
	}
}
