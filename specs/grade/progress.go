package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// progress tells how far the grading is: on a terminal in one line, else in a line for each submission that is done.
type progress struct {
	mu       sync.Mutex
	to       *os.File
	terminal bool
	total    int
	finished int
	judged   int // of the finished, in this run
	current  []class.Name
	began    time.Time
}

func newProgress(to *os.File, total int) *progress {
	return &progress{to: to, terminal: term.IsTerminal(int(to.Fd())), total: total, began: time.Now()}
}

func (p *progress) begin(name class.Name) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = append(p.current, name)
	p.line()
}

// kept counts a submission whose result is there already.
func (p *progress) kept(class.Submission) {
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
	for i, name := range p.current {
		if name == s.Name {
			p.current = append(p.current[:i], p.current[i+1:]...)
			break
		}
	}
	if !p.terminal {
		fmt.Fprintf(p.to, "%d/%d %v: %s%s\n", p.finished, p.total, s.Name, outcome(s, rows), p.left())
	}
	p.line()
}

// line draws the line of a terminal anew.
func (p *progress) line() {
	if !p.terminal {
		return
	}
	names := make([]string, 0, len(p.current))
	for _, name := range p.current {
		names = append(names, name.String())
	}
	text := []rune(fmt.Sprintf("%d/%d%s  %s", p.finished, p.total, p.left(), strings.Join(names, " ")))
	width, _, err := term.GetSize(int(p.to.Fd()))
	if err != nil || width == 0 {
		width = 80
	}
	fmt.Fprintf(p.to, "\r\x1b[K%s", string(text[:min(len(text), width-1)]))
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
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
