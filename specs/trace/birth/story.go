// Package birth reads a trace as the lab does: which process is the original, the middle one and the daemon, which call
// belongs to which step, and what is wrong. The verdict on a step is that of package facts on the daemon's state when
// the start is over; the calls only explain it. What no state shows, such as what comes before a lock, is judged by the
// order of calls. It is pure: it sees a record and nothing else.
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
	Birth   Phase = iota // until all is ready
	Service              // of the tracer's own requests
	End                  // after SIGTERM
)

// Story is a trace to be drawn.
type Story struct {
	Command   []string
	Lab       bool      // it has to do with a queue; else it is only judged as a daemon
	Processes []Process // in the order of their birth
	Rows      []Row     // in the order of time
	LeftOut   int       // rows, of a program that goes on and on
	Verdicts  []Verdict // one for each id that a trace can tell of
	Stderr    string
}

// Process is a column of the picture.
type Process struct {
	PID, Parent int
	Role        rubric.Text
}

// Row is a call, or several of one kind that follow each other.
type Row struct {
	At       time.Duration
	PID, TID int // 0: the tracer
	To       int // the process that is made or told; 0: none
	Text     rubric.Text
	ID       string // of the rubric, "" for what belongs to no step
	Step     int    // of the lab, 0 for none
	Marks    []Mark
	Phase    Phase
	group    string
	events   []*event.Event
}

// Ends reports whether it is the last of its process.
func (r *Row) Ends() bool { return len(r.events) > 0 && r.events[0].Kind == event.Ended }

func (r *Row) has(fits func(e *event.Event) bool) bool {
	return slices.ContainsFunc(r.events, fits)
}

// Mark is something that is wrong.
type Mark struct {
	ID   string
	Text rubric.Text
}

// Verdict says of an id of the rubric whether the trace shows it.
type Verdict struct {
	rubric.Row
	OK   bool
	Text rubric.Text
}

// OK reports whether nothing is marked.
func (s *Story) OK() bool {
	return !slices.ContainsFunc(s.Verdicts, func(v Verdict) bool { return !v.OK })
}

// Role is what a process is called, 0 being the tracer.
func (s *Story) Role(pid int) rubric.Text {
	for _, p := range s.Processes {
		if p.PID == pid {
			return p.Role
		}
	}
	return say("trace")
}
