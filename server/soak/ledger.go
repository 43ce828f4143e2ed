package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"daemonlab/specs/harness"
)

// ledger counts what was done and keeps what was lost.
type ledger struct {
	mu       sync.Mutex
	counts   map[string]int
	losses   []string
	troubles []*trouble
}

// What is counted in several places.
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

// lose keeps a finding, and shows it at once.
func (l *ledger) lose(format string, args ...any) {
	loss := fmt.Sprintf(format, args...)
	fmt.Fprintf(os.Stderr, "LOST  %s\n", loss)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.losses = append(l.losses, loss)
}

// trouble is what the operator did to the server, or to its queue.
type trouble struct {
	what string
	from time.Time
	till time.Time // the process has ended, or the queue has its name again; zero until then
	back time.Time // a server is ready; zero until then
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

// set sets a time of a trouble.
func (l *ledger) set(t *time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*t = time.Now()
}

// exchange is when a request was made and what it was for.
type exchange struct {
	what             string
	begin, sent, end time.Time
	last             time.Time // when the last response came that did come
}

// grace is how long a server that was told to end lets transfers go on.
const grace = 5 * time.Second

// excused tells which trouble explains an exchange that was not answered, "" for none. SIGKILL cuts whatever the server
// had taken. Of a server that ends in order, and of a queue that loses its name, what was sent meanwhile may be lost: it
// may have come to a queue that nobody reads any more. And a server that ends cuts what has gone on until the end of its
// grace, without a word if the client's queue is full.
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

// absent reports whether there was no server, or no queue, for a while of the exchange.
func (l *ledger) absent(x exchange) bool {
	return l.find(func(t *trouble) bool { return overlap(x.begin, x.end, t.from, t.back) }) != ""
}

// stopping reports whether a server was told to end during the exchange, and may have said so.
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

// overlap takes a zero end of the second for one that is still to come.
func overlap(begin, end, from, till time.Time) bool {
	return !end.Before(from) && (till.IsZero() || !begin.After(till))
}

// silence is since when an exchange has had no answer, and how many others had one at that time.
type silence struct {
	since  harness.Stopwatch
	before int
}

func (l *ledger) silent() silence { return silence{harness.NewStopwatch(), l.counted(checked)} }

// passed is how many exchanges that end meanwhile show that one was forgotten. It is several times as many as can lie
// in the queue or be served at once.
const passed = 100

// hang is how long a server may answer nobody, a slow one too.
func hang() time.Duration { return 10 * harness.Patience }

// slow reports whether a silent server may still answer: it has neither served enough others meanwhile nor been silent
// to all for too long.
func (l *ledger) slow(of silence) bool {
	return l.counted(checked)-of.before < passed && of.since.Within(hang())
}
