// Package birth reads a trace in the lab's terms: which process is the original, the middle one and the daemon, which
// call belongs to which step, and what is wrong. The verdict on a step comes from package facts and the daemon's state
// at the end of the start; calls only explain it. What no state shows, such as a write before the lock, is judged by
// the order of calls. The package is pure: its only input is the record.
package birth

import (
	"slices"
	"time"

	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/event"
)

var say = finding.Say

// Phase is a part of the story.
type Phase int

const (
	Birth   Phase = iota // until everything is ready
	Service              // of the tracer's requests
	End                  // after SIGTERM
)

// Story is a trace to be drawn.
type Story struct {
	Command   []string
	Lab       bool      // it uses a queue; otherwise it is only judged as a daemon
	Processes []Process // by creation
	Rows      []Row     // by time
	LeftOut   int       // rows, of a program that never stops
	Verdicts  []Verdict // one for each id that a trace can judge
	Stderr    string
}

// Process is a column of the picture.
type Process struct {
	PID, Parent int
	Role        rubric.Text
}

// Row is a call, or consecutive calls of one kind.
type Row struct {
	At       time.Duration
	PID, TID int // 0: the tracer
	To       int // process created or signalled; 0: none
	Text     rubric.Text
	ID       string // of the rubric, "" if it belongs to no step
	Step     int    // of the lab, 0 for none
	Marks    []Mark
	Phase    Phase
	group    string
	events   []*event.Event
}

// Ends reports whether this is the process's last row.
func (r *Row) Ends() bool { return len(r.events) > 0 && r.events[0].Kind == event.Ended }

func (r *Row) has(fits func(e *event.Event) bool) bool {
	return slices.ContainsFunc(r.events, fits)
}

// Mark is a fault shown at a row.
type Mark struct {
	ID   string
	Text rubric.Text
}

// Verdict says whether the trace shows an id of the rubric as passed.
type Verdict struct {
	rubric.Row
	OK   bool
	Text rubric.Text
}

// OK reports whether nothing is marked.
func (s *Story) OK() bool {
	return !slices.ContainsFunc(s.Verdicts, func(v Verdict) bool { return !v.OK })
}

// Role names a process; 0 is the tracer.
func (s *Story) Role(pid int) rubric.Text {
	for _, p := range s.Processes {
		if p.PID == pid {
			return p.Role
		}
	}
	return say("trace")
}
