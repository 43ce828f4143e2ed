package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// outcome summarizes how a submission ended.
func outcome(s class.Submission, rows []rubric.Row) string {
	got, of, given := s.Points(rows)
	switch {
	case s.Verdict == class.NotOne:
		return oneLine(s.Why)
	case !given:
		return fmt.Sprintf("the grader failed: %.60s", oneLine(s.Why))
	case s.Verdict != class.Graded && s.Undecided():
		return fmt.Sprintf("needs a look: %.60s", oneLine(s.Why))
	case s.Verdict != class.Graded:
		return fmt.Sprintf("%d/%d %s: %.60s", got, of, s.Verdict, oneLine(s.Why))
	case s.Undecided():
		return fmt.Sprintf("%d/%d, needs a look", got, of)
	}
	if s.Adjust.Late > 0 {
		return fmt.Sprintf("%d/%d, %d %% deducted: %.60s", got, of, s.Adjust.Late, oneLine(s.Adjust.Reason))
	}
	if s.Adjust != (class.Adjustment{}) {
		return fmt.Sprintf("%d/%d adjusted: %.60s", got, of, oneLine(s.Adjust.Reason))
	}
	return fmt.Sprintf("%d/%d", got, of)
}

// printTable prints the class: first what a person should look at, then the rows that each submission did not pass.
func printTable(c class.Class) {
	printLooks(c)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "submission\tlanguage\tpoints\tfailed")
	for _, s := range c.Submissions {
		fmt.Fprintf(table, "%v\t%s\t%s\t%s\n", s.Name, s.Language, outcome(s, c.Rubric), notPassed(s))
	}
	table.Flush()
	fmt.Printf("\n%d in all: graded %d, did not build %d, timed out %d, grader failed %d, not submissions %d\n",
		len(c.Submissions), c.Count(class.Graded), c.Count(class.NoBuild), c.Count(class.Timeout),
		c.Count(class.GraderFailed), c.Count(class.NotOne))
}

func printLooks(c class.Class) {
	said := false
	for _, s := range c.Submissions {
		for i, look := range s.Look {
			if !said {
				fmt.Print("needs a look; each command grades the submission as probably intended, as a trial:\n\n")
			}
			if said = true; i == 0 {
				fmt.Printf("%v: %s\n", s.Name, finding.Plain(look.Why.EN))
			}
			if look.Command != "" {
				fmt.Printf("    %s\n", finding.Plain(look.Command))
			}
		}
		if t := s.Trial; t != nil {
			fmt.Printf("%v, tried: %d/%d %s by %s\n", s.Name, t.Got, t.Of, finding.Plain(t.Why), finding.Plain(t.Command))
		}
	}
	if said {
		fmt.Println()
	}
}

func notPassed(s class.Submission) string {
	var rows []string
	for _, row := range s.Rows {
		switch {
		case row.Status == class.Failed && s.Runs > 1:
			rows = append(rows, fmt.Sprintf("%s (%d/%d)", row.ID, row.Passes, s.Runs))
		case row.Status == class.Failed:
			rows = append(rows, row.ID)
		}
	}
	const shown = 6 // keep the line readable
	if len(rows) <= shown {
		return strings.Join(rows, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(rows[:shown], " "), len(rows)-shown)
}

// progress reports progress on stderr: on a terminal in a single line, otherwise a line per finished submission.
type progress struct {
	mu       sync.Mutex
	terminal bool
	total    int
	finished int
	judged   int // number of finished ones judged in this run
	current  []class.Name
	began    time.Time
}

func newProgress(total int) *progress {
	return &progress{terminal: term.IsTerminal(int(os.Stderr.Fd())), total: total, began: time.Now()}
}

func (p *progress) begin(name class.Name) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = append(p.current, name)
	p.line()
}

// kept counts a submission whose result exists already.
func (p *progress) kept() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished++
	p.line()
}

func (p *progress) done(s class.Submission, rows []rubric.Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished++
	p.judged++
	p.current = slices.DeleteFunc(p.current, func(name class.Name) bool { return name == s.Name })
	if !p.terminal {
		fmt.Fprintf(os.Stderr, "%d/%d %v: %s%s\n", p.finished, p.total, s.Name, outcome(s, rows), p.left())
	}
	p.line()
}

// line redraws the line on a terminal.
func (p *progress) line() {
	if !p.terminal {
		return
	}
	text := fmt.Sprintf("%d/%d%s ", p.finished, p.total, p.left())
	for _, name := range p.current {
		text += " " + name.String()
	}
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || width == 0 {
		width = 80
	}
	fmt.Fprintf(os.Stderr, "\r\x1b[K%s", finding.Clip(text, width-1))
}

// left estimates the time remaining, from the average so far.
func (p *progress) left() string {
	if p.judged == 0 || p.finished == p.total {
		return ""
	}
	each := time.Since(p.began) / time.Duration(p.judged)
	return fmt.Sprintf(", %v left", (each * time.Duration(p.total-p.finished)).Round(time.Second))
}

func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
