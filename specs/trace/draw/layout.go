// Package draw draws a story, as text for a terminal and as a page with a picture.
package draw

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"daemonlab/specs/harness"
	"daemonlab/specs/trace/birth"
)

// section is a part of the picture with columns of its own.
type section struct {
	title string
	lanes []lane
	rows  []placed
}

// lane is a column.
type lane struct {
	title, below string
	from, to     int // rows between which somebody lives in it
}

// placed is a row in its lane.
type placed struct {
	*birth.Row
	lane   int
	target int // lane of To, -1 without one
	text   string
}

// tag is what stands in the margin: the step's number and the id.
func (p *placed) tag() string {
	if p.ID == "" {
		return ""
	}
	return fmt.Sprintf("%d %s", p.Step, p.ID)
}

// sections lays out the start, with a lane for each process, and the service, with one for each thread at work.
func sections(s *birth.Story) []section {
	start := section{title: "The start: a column for each process"}
	service := section{title: "The service: a column for each thread of the daemon that takes part"}
	for i := range s.Rows {
		row := &s.Rows[i]
		part := &start
		if row.Phase != birth.Birth {
			part = &service
		}
		part.rows = append(part.rows, placed{Row: row, target: -1, text: row.Text})
	}
	start.placeProcesses(s)
	if len(service.rows) == 0 {
		return []section{start}
	}
	service.placeThreads(s)
	return []section{start, service}
}

// maxLanes is how many fit side by side. What else there is shares the last.
const maxLanes = 4

func (c *section) placeProcesses(s *birth.Story) {
	laneOf := map[int]int{}
	for i, p := range s.Processes {
		laneOf[p.PID] = min(i, maxLanes-1)
		if i < maxLanes {
			c.lanes = append(c.lanes, lane{title: p.Role, below: fmt.Sprintf("PID %d", p.PID), to: len(c.rows)})
		} else {
			c.lanes[maxLanes-1].title, c.lanes[maxLanes-1].below = "others", ""
		}
	}
	for i := range c.rows {
		row := &c.rows[i]
		row.lane = laneOf[row.PID]
		if row.To != 0 {
			row.target = laneOf[row.To]
		}
		if row.Begins() && row.target < maxLanes-1 {
			c.lanes[row.target].from = i
		}
		if row.Ends() && row.lane < maxLanes-1 {
			c.lanes[row.lane].to = i
		}
	}
}

// placeThreads gives each thread a lane that is free from its first row to its last, the tracer's client the first.
func (c *section) placeThreads(s *birth.Story) {
	c.lanes = []lane{{title: "client", below: "of this trace", to: len(c.rows)}}
	busyUntil := []int{len(c.rows)}
	laneOf := map[int]int{0: 0}
	for i := range c.rows {
		row := &c.rows[i]
		place, known := laneOf[row.TID]
		if !known {
			place = c.freeLane(&busyUntil, i)
			laneOf[row.TID] = place
			busyUntil[place] = c.lastRowOf(row.TID)
			row.text = fmt.Sprintf("[%s] %s", threadName(s, row.Row), row.text)
		}
		row.lane = place
		if row.To != 0 {
			row.target = 1
		}
	}
	if len(c.lanes) == 1 {
		c.lanes = append(c.lanes, lane{title: "daemon", to: len(c.rows)})
	}
}

func threadName(s *birth.Story, row *birth.Row) string {
	if row.TID == row.PID {
		return fmt.Sprintf("%s %d", s.Role(row.PID), row.PID)
	}
	return fmt.Sprintf("thread %d", row.TID)
}

func (c *section) lastRowOf(tid int) (last int) {
	for i := range c.rows {
		if c.rows[i].TID == tid {
			last = i
		}
	}
	return last
}

// freeLane is one whose thread has nothing more to do, a new one, or the one that is free soonest.
func (c *section) freeLane(busyUntil *[]int, now int) int {
	for i, until := range *busyUntil {
		if until < now {
			return i
		}
	}
	if len(c.lanes) < maxLanes {
		c.lanes = append(c.lanes, lane{title: "daemon", below: "a thread", to: len(c.rows)})
		*busyUntil = append(*busyUntil, 0)
		return len(c.lanes) - 1
	}
	soonest := slices.Min((*busyUntil)[1:])
	return 1 + slices.Index((*busyUntil)[1:], soonest)
}

// wrap breaks text into lines of so many characters: between words, else behind a sign that joins them, else anywhere.
func wrap(text string, width int) (lines []string) {
	var line []rune
	add := func(part []rune) {
		if len(line) > 0 {
			line = append(line, ' ')
		}
		line = append(line, part...)
	}
	for field := range strings.FieldsSeq(printable(text)) {
		word := []rune(field)
		for room := width - len(line); len(word) > room || len(line) > 0 && len(word) == room; room = width {
			cut := 0
			if len(word) > width {
				cut = joint(word[:max(room-1, 0)])
			}
			if cut == 0 && len(line) == 0 {
				cut = width
			}
			if cut > 0 {
				add(word[:cut])
			}
			word = word[cut:]
			lines, line = append(lines, string(line)), nil
		}
		add(word)
	}
	return append(lines, string(line))
}

// joint is where the part behind the last sign that joins words begins, 0 without one.
func joint(word []rune) int {
	for i := len(word) - 1; i >= 0; i-- {
		if strings.ContainsRune("(|,", word[i]) || word[i] == '/' && i > 0 && word[i-1] != '(' {
			return i + 1
		}
	}
	return 0
}

// printable keeps what a program has put into its names from commanding a terminal.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) || unicode.IsSpace(c) {
			return c
		}
		return '?'
	}, text)
}

// heading says what was traced and how.
func heading(s *birth.Story) (title, setting string) {
	return "What became of: " + strings.Join(s.Command, " "), "The trace " + harness.HostileDescription + "."
}

func status(v birth.Verdict) string {
	if v.OK {
		return "ok"
	}
	return "!!"
}
