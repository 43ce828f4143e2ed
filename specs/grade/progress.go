package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/term"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// progress tells on stderr how far the grading is: on a terminal in one line, else in a line for each submission done.
type progress struct {
	mu       sync.Mutex
	terminal bool
	total    int
	finished int
	judged   int // of the finished, in this run
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

// kept counts a submission whose result is there already.
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

// line draws the line of a terminal anew.
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

// left is how long the rest will take, as long as what was done took.
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
