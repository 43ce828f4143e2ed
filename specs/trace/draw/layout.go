// Package draw draws a story for a terminal and as a page. Both share one layout: a line per row, and at its left a
// narrow lane for each process or thread.
package draw

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/birth"
)

var say = finding.Say

// section is a part of the picture with its own lanes.
type section struct {
	Title rubric.Text
	Lanes []lane
	Lines []line
}

// lane is a process, or a thread of the service.
type lane struct {
	Name     rubric.Text
	Head     []cell
	from, to int // lines in which the lane is in use
}

// line is a row of the story and its lanes.
type line struct {
	*birth.Row
	Who         rubric.Text
	Cells, Mark []cell // of the row, and of its marks
}

// cell is one lane's part of a line: nothing, | alive, * a call, o the target, X the end, ! a mark. Lines to other
// lanes come from the left or go on to the right.
type cell struct {
	Sign        rune
	Left, Right bool
}

// maxLanes is how many fit side by side. The rest share the last.
const maxLanes = 8

// sections lays out the start, one lane per process, and the rest, one lane per working thread.
func sections(s *birth.Story) (parts []section) {
	start, rest := section{Title: say("The start")}, section{Title: say("The end")}
	if s.Lab {
		rest.Title = say("Service and end")
	}
	for i := range s.Rows {
		row := &s.Rows[i]
		part := &start
		if row.Phase != birth.Birth {
			part = &rest
		}
		part.Lines = append(part.Lines, line{Row: row, Who: s.Role(row.PID)})
	}
	start.place(s, func(pid, _ int) int { return pid })
	rest.place(s, func(_, tid int) int { return tid })
	for _, part := range []section{start, rest} {
		if len(part.Lines) > 0 {
			parts = append(parts, part)
		}
	}
	return parts
}

// place assigns lanes in order of first appearance.
func (c *section) place(s *birth.Story, actor func(pid, tid int) int) {
	lanes := map[int]int{}
	laneOf := func(pid, tid, i int) int {
		who := actor(pid, tid)
		at, known := lanes[who]
		if !known {
			at = min(len(lanes), maxLanes-1)
			lanes[who] = at
			if len(c.Lanes) <= at {
				name := say("%v, PID %d", s.Role(pid), who)
				switch {
				case who == 0:
					name = say("this trace")
				case who != pid:
					name = say("thread %d of the %v", who, s.Role(pid))
				}
				c.Lanes = append(c.Lanes, lane{Name: name, from: i, to: len(c.Lines)})
			} else {
				c.Lanes[at].Name, c.Lanes[at].to = say("others"), len(c.Lines)
			}
		}
		return at
	}
	at, to := make([]int, len(c.Lines)), make([]int, len(c.Lines))
	for i := range c.Lines {
		l := &c.Lines[i]
		at[i], to[i] = laneOf(l.PID, l.TID, i), -1
		if l.TID != l.PID && actor(l.PID, l.TID) == l.TID {
			l.Who = say("thread")
		}
		if l.To != 0 {
			to[i] = laneOf(l.To, l.To, i)
		}
		if l.Ends() && at[i] < maxLanes-1 {
			c.Lanes[at[i]].to = i
		}
	}
	for i := range c.Lines {
		c.Lines[i].Cells, c.Lines[i].Mark = c.cells(i, at[i], to[i], false), c.cells(i, at[i], -1, true)
	}
	for n := range c.Lanes {
		c.Lanes[n].Head = append(slices.Repeat([]cell{{Sign: '|'}}, n), cell{Sign: 'o'})
	}
}

func (c *section) cells(i, at, to int, mark bool) []cell {
	cells := make([]cell, len(c.Lanes))
	for n, l := range c.Lanes {
		if l.from < i && i < l.to || mark && l.from <= i && i < l.to {
			cells[n].Sign = '|'
		}
	}
	cells[at].Sign = '*'
	if mark {
		cells[at].Sign = '!'
	} else if c.Lines[i].Ends() {
		cells[at].Sign = 'X'
	}
	if to >= 0 && to != at {
		cells[to].Sign = 'o'
		for n := min(at, to); n <= max(at, to); n++ {
			cells[n].Left, cells[n].Right = n > min(at, to), n < max(at, to)
		}
	}
	return cells
}

// tag is the margin's text: the step's number and the id.
func (l *line) tag() string {
	if l.ID == "" || l.Text.EN == "" {
		return ""
	}
	return fmt.Sprintf("%d %s", l.Step, l.ID)
}

// When formats a time with the width that the trace's maximum length needs.
func (l *line) When() string {
	if l.At >= 10*time.Second {
		return fmt.Sprintf("%.2f s", l.At.Seconds())
	}
	return fmt.Sprintf("%.1f ms", float64(l.At.Microseconds())/1000)
}

// heading says what was traced and how.
func heading(s *birth.Story) (title, setting rubric.Text) {
	return say("Trace of %s", strings.Join(s.Command, " ")), say("It was started with files open at descriptors " +
		"3, 7, 300 and 1023; HUP, INT, CHLD, USR2, TSTP and two real-time signals ignored; TERM, USR1 and a " +
		"real-time signal blocked; umask 077; junk in the environment; and a controlling terminal as stdin. Its " +
		"stdout and stderr are a file of the tracer.")
}

// legend says what is judged.
func legend(s *birth.Story) rubric.Text {
	if s.Lab {
		return say("!! marks what is wrong, going by /proc after the start or by the order of the calls.")
	}
	return say("No queue was opened: it is judged as a daemon only. !! marks what is wrong, going by /proc after " +
		"the start or by the order of the calls.")
}

func status(v birth.Verdict) string {
	if v.OK {
		return "ok"
	}
	return "!!"
}

func wrap(text string, width int) []string {
	return finding.Fold(strings.Join(strings.Fields(finding.Escape(text, "")), " "), width)
}
