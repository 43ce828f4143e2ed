package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const stdout, stderr = 1, 2

// Transfers shorter than barDelay show no bar; longer ones redraw it every barPeriod.
const (
	barDelay  = 500 * time.Millisecond
	barPeriod = 100 * time.Millisecond
)

// progress draws a bar on stderr during a transfer, if stderr is a terminal.
type progress struct {
	state   *state
	visible bool
	began   time.Time // when the size was first known; zero before
	before  uint64    // bytes received until then
	drawn   int       // columns of the current line
}

// newProgress makes a bar. It is visible only if stderr is a terminal that does not also get the file.
func newProgress(s *state) *progress {
	return &progress{state: s, visible: isTerminal(stderr) && !isTerminal(stdout)}
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

// draw redraws the bar.
func (p *progress) draw() {
	size, received := p.state.size.Load(), p.state.received.Load()
	switch {
	case !p.visible || size == 0:
	case p.began.IsZero():
		p.began, p.before = time.Now(), received
	case time.Since(p.began) >= barDelay:
		rate := float64(received-p.before) / time.Since(p.began).Seconds()
		p.show(line(terminalWidth(), received, size, rate))
	}
}

// erase removes the bar.
func (p *progress) erase() {
	if p.drawn > 0 {
		p.show("")
	}
}

// show writes a line over the last one, pads it with blanks to the old length, and returns the cursor to column 0.
func (p *progress) show(line string) {
	os.Stderr.WriteString("\r" + line + strings.Repeat(" ", max(p.drawn-len(line), 0)) + "\r")
	p.drawn = len(line)
}

func terminalWidth() int {
	size, err := unix.IoctlGetWinsize(stderr, unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 80
	}
	return int(size.Col)
}

// line returns the figures and, if there is room, a bar, in at most width columns. Rate is in bytes per second.
func line(width int, received, size uint64, rate float64) string {
	part := float64(received) / float64(size)
	text := fmt.Sprintf("%3.0f%%  %s of %s  %s/s  ETA %s", 100*part, human(float64(received)), human(float64(size)),
		human(rate), clock(float64(size-received)/rate))
	if columns := width - len(text) - 4; columns >= 10 {
		done := int(part * float64(columns))
		text += " [" + strings.Repeat("=", done) + strings.Repeat(" ", columns-done) + "]"
	}
	return text[:min(len(text), width-1)]
}

// human formats a number of bytes in at most 10 columns.
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

// clock formats a remaining time as hours, minutes and seconds.
func clock(seconds float64) string {
	if !(seconds < 100*3600) { // also NaN and infinity, while nothing has come
		return "--:--"
	}
	return (time.Duration(seconds) * time.Second).String()
}
