package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"daemonlab/specs/harness"
)

// ledger counts events and keeps losses.
type ledger struct {
	mu       sync.Mutex
	counts   map[string]int
	losses   []string
	troubles []*trouble
}

// Counters used in several places.
const (
	requests = "requests"
	checked  = "answered as they should be"
)

func (l *ledger) count(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = map[string]int{}
	}
	l.counts[what]++
}

func (l *ledger) counted(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[what]
}

// lose records a loss and prints it at once.
func (l *ledger) lose(format string, args ...any) {
	loss := fmt.Sprintf(format, args...)
	fmt.Fprintf(os.Stderr, "LOST  %s\n", loss)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.losses = append(l.losses, loss)
}

// trouble is something that the operator did to the server, or to its queue.
type trouble struct {
	what string
	from time.Time
	till time.Time // when the process had ended, or the queue had its name again; zero until then
	back time.Time // when a server was ready; zero until then
}

const (
	killed   = "kill -9 and restart"
	stopped  = "SIGTERM and restart"
	unlinked = "request queue unlinked"
)

func (l *ledger) begin(what string) *trouble {
	l.count("operator: " + what)
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &trouble{what: what, from: time.Now()}
	l.troubles = append(l.troubles, t)
	return t
}

// set sets one of the times of a trouble to now.
func (l *ledger) set(t *time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*t = time.Now()
}

// exchange has the times of a request, and what it asked for.
type exchange struct {
	what             string
	begin, sent, end time.Time
	last             time.Time // of the last response that did come
}

// grace is how long a terminating server lets transfers go on.
const grace = 5 * time.Second

// excused returns the trouble that explains an unanswered exchange, "" if there is none. SIGKILL cuts off whatever the
// server had received. If a server ends in order, or its queue loses its name, requests sent meanwhile may be lost:
// they may be in a queue that nobody reads any more. A server that ends also cuts off transfers that outlast its grace,
// silently if the client's queue is full.
func (l *ledger) excused(x exchange) string {
	return l.find(func(t *trouble) bool {
		switch cut := t.from.Add(grace - harness.Slack); {
		case t.what == killed:
			return overlap(x.begin, x.end, t.from, t.till)
		case t.what == stopped && overlap(x.begin, x.last, cut, t.till):
			return true
		}
		return overlap(x.begin, x.sent, t.from, t.till)
	})
}

// absent reports whether there was no server, or no queue, during part of the exchange.
func (l *ledger) absent(x exchange) bool {
	return l.find(func(t *trouble) bool { return overlap(x.begin, x.end, t.from, t.back) }) != ""
}

// stopping reports whether a server was terminating during the exchange, and may have said so.
func (l *ledger) stopping(x exchange) bool {
	return l.find(func(t *trouble) bool { return t.what == stopped && overlap(x.begin, x.end, t.from, t.till) }) != ""
}

func (l *ledger) find(fits func(*trouble) bool) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.troubles, fits)
	if i < 0 {
		return ""
	}
	return l.troubles[i].what
}

// overlap treats a zero end of the second interval as the future.
func overlap(begin, end, from, till time.Time) bool {
	return !end.Before(from) && (till.IsZero() || !begin.After(till))
}

// silence is when an exchange began to wait, and how many others had been answered by then.
type silence struct {
	since  harness.Stopwatch
	before int
}

func (l *ledger) silent() silence { return silence{harness.NewStopwatch(), l.counted(checked)} }

// passed is how many other exchanges must end meanwhile to show that one was forgotten: several times as many as can be
// queued or served at once.
const passed = 100

// hang is how long even a slow server may answer nobody.
func hang() time.Duration { return 10 * harness.Patience }

// slow reports whether a silent server may still answer: it has neither served enough others meanwhile nor been silent
// to all for too long.
func (l *ledger) slow(of silence) bool {
	return l.counted(checked)-of.before < passed && of.since.Within(hang())
}
