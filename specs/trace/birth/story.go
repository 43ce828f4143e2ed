// Package birth reads a trace as the lab does: which process is the original, the middle one and the daemon, which call
// belongs to which step, and what is missing or out of order. It is pure: it sees a record and nothing else.
package birth

import (
	"time"

	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/event"
)

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
	Processes []Process // in the order of their birth
	Rows      []Row     // in the order of time
	LeftOut   int       // rows, of a program that goes on and on
	Verdicts  []Verdict // one for each id that a trace can tell of
	Stderr    string
}

// Process is a column of the picture.
type Process struct {
	PID, Parent int
	Role        string
}

// Row is a call, or several of one kind that follow each other.
type Row struct {
	At       time.Duration
	PID, TID int // 0: the tracer
	To       int // the process that is made or told; 0: none
	Text     string
	ID       string // of the rubric, "" for what belongs to no step
	Step     int    // of the lab, 0 for none
	Marks    []Mark
	Phase    Phase
	events   []event.Event
}

// Ends tells whether it is the last of its process.
func (r *Row) Ends() bool {
	return len(r.events) > 0 && r.events[0].Kind == event.Ended
}

// Begins tells whether the row makes the process To.
func (r *Row) Begins() bool {
	return len(r.events) > 0 && r.events[0].Kind == event.Born
}

// Mark is something that is missing or out of order.
type Mark struct {
	ID, Text string
}

// Verdict says of an id of the rubric whether the trace shows it.
type Verdict struct {
	rubric.Row
	OK   bool
	Text string
}

// OK tells whether nothing is marked.
func (s *Story) OK() bool {
	for _, v := range s.Verdicts {
		if !v.OK {
			return false
		}
	}
	return true
}

// Verdict finds the one of an id.
func (s *Story) Verdict(id string) Verdict {
	for _, v := range s.Verdicts {
		if v.ID == id {
			return v
		}
	}
	return Verdict{}
}

// Role is what a process is called: client for 0, the tracer's own.
func (s *Story) Role(pid int) string {
	for _, p := range s.Processes {
		if p.PID == pid {
			return p.Role
		}
	}
	return "client"
}
