package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A transfer that ends sooner than barDelay shows no bar; a longer one redraws it every barPeriod.
const (
	barDelay  = 500 * time.Millisecond
	barPeriod = 100 * time.Millisecond
)

// progress draws a bar on stderr while a transfer lasts, if a person can be there to see it. Its zero value shows
// nothing until start.
type progress struct {
	received atomic.Uint64
	size     uint64
	began    time.Time
	ended    chan struct{} // closed by stop
	gone     chan struct{} // closed when the drawing is over; nil when it never began

	mu    sync.Mutex // of the line on the terminal
	drawn int        // columns of it in use
}

// start begins a transfer of size bytes. A bar needs a terminal that does not also get the file.
func (p *progress) start(size uint64) {
	if size == 0 || !isTerminal(os.Stderr) || isTerminal(os.Stdout) {
		return
	}
	p.size, p.began = size, time.Now()
	p.ended, p.gone = make(chan struct{}), make(chan struct{})
	go p.draw()
}

// advance tells how many bytes have arrived.
func (p *progress) advance(received uint64) { p.received.Store(received) }

// stop takes the bar away.
func (p *progress) stop() {
	if p.gone != nil {
		close(p.ended)
		<-p.gone
	}
}

func (p *progress) draw() {
	defer close(p.gone)
	tick := time.NewTimer(barDelay)
	for {
		select {
		case <-p.ended:
			p.show("")
			return
		case <-tick.C:
			p.show(p.line(terminalWidth()))
			tick.Reset(barPeriod)
		}
	}
}

// show replaces the line on the terminal, with blanks where the new one is shorter.
func (p *progress) show(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replace(line)
}

func (p *progress) replace(line string) {
	blanks := max(p.drawn-len(line), 0)
	if len(line)+blanks == 0 {
		return
	}
	text := "\r" + line + strings.Repeat(" ", blanks)
	if line == "" {
		text += "\r"
	}
	os.Stderr.WriteString(text)
	p.drawn = len(line)
}

// eraseNow takes the bar away when the process is about to end, and for good: mu stays locked. A terminal that is
// stopped (Ctrl-S) does not keep the process alive.
func (p *progress) eraseNow() {
	erased := make(chan struct{})
	go func() {
		p.mu.Lock()
		p.replace("")
		close(erased)
	}()
	select {
	case <-erased:
	case <-time.After(barDelay):
	}
}

func terminalWidth() int {
	size, err := unix.IoctlGetWinsize(int(os.Stderr.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 80
	}
	return int(size.Col)
}

// line is the bar for a terminal of so many columns: as many of the facts as fit, then a bar if there is room.
func (p *progress) line(width int) string {
	received := p.received.Load()
	rate := float64(received) / time.Since(p.began).Seconds()
	share := float64(received) / float64(p.size)
	line := fmt.Sprintf("%3.0f%%", 100*share)
	var facts string
	for _, fact := range []string{
		human(float64(received)) + " of " + human(float64(p.size)),
		human(rate) + "/s",
		"ETA " + clock(float64(p.size-received)/rate),
	} {
		if len(line)+len(facts)+2+len(fact) < width {
			facts += "  " + fact
		}
	}
	if columns := width - len(line) - len(facts) - 4; columns >= 10 {
		done := int(share * float64(columns))
		line += " [" + strings.Repeat("=", done) + strings.Repeat(" ", columns-done) + "]"
	}
	return line + facts
}

// human is a number of bytes in at most 10 columns.
func human(n float64) string {
	if n < 1024 {
		return fmt.Sprintf("%.0f B", n)
	}
	units := "KMGTPE"
	for n /= 1024; n >= 1024 && len(units) > 1; n /= 1024 {
		units = units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", n, units[0])
}

// clock is a time to go as minutes and seconds, or hours before them.
func clock(seconds float64) string {
	if !(seconds < 100*3600) { // also when nothing has come yet
		return "--:--"
	}
	s := int(seconds)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
