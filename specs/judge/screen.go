package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// lines is the view for what is no terminal: a line for each change.
type lines struct {
	out  io.Writer
	lang string
}

func (l lines) update(_ *board, changed *result) {
	if changed != nil {
		fmt.Fprintf(l.out, "%-7s %s: %s\n", wordsOf[l.lang].marks[changed.Status], changed.ID, changed.line(l.lang))
	}
}

func (l lines) rest(b *board, programsAreThere bool) {
	w := wordsOf[l.lang]
	r := b.report()
	fmt.Fprintf(l.out, w.points+"; %s\n", r.Score, r.Max, w.state(b, programsAreThere))
}

func (l lines) built(b *board) { io.WriteString(l.out, b.errors) }

func (lines) close(*board) {}

func (w words) state(b *board, programsAreThere bool) string {
	switch {
	case b.errors != "":
		return w.broken
	case !programsAreThere:
		return w.missing
	case len(b.red()) == 0:
		return w.done
	}
	return w.waiting
}

// screen is the view on a terminal: its alternate screen, which gives back what was there before.
type screen struct {
	lang    string
	state   string
	resized chan os.Signal
}

const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // alternate screen, no cursor; see console_codes(4)
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	green       = "\x1b[32m"
	red         = "\x1b[31m"
	grey        = "\x1b[90m"
	yellow      = "\x1b[33m"
	bold        = "\x1b[1m"
	plain       = "\x1b[0m"
)

func newScreen(b *board, lang string) *screen {
	s := &screen{lang: lang, resized: make(chan os.Signal, 1)}
	os.Stdout.WriteString(enterScreen)
	signal.Notify(s.resized, unix.SIGWINCH)
	go func() {
		for range s.resized {
			b.mu.Lock()
			s.draw(b)
			b.mu.Unlock()
		}
	}()
	return s
}

func (s *screen) update(b *board, _ *result) {
	s.state = wordsOf[s.lang].judging
	s.draw(b)
}

func (s *screen) rest(b *board, programsAreThere bool) {
	s.state = wordsOf[s.lang].state(b, programsAreThere)
	s.draw(b)
}

func (s *screen) built(b *board) {
	s.state = wordsOf[s.lang].state(b, true)
	s.draw(b)
}

// close leaves the table where the user goes on to work.
func (s *screen) close(b *board) {
	signal.Stop(s.resized)
	os.Stdout.WriteString(leaveScreen)
	r := b.report()
	fmt.Printf(wordsOf[s.lang].points+"\n", r.Score, r.Max)
}

func (s *screen) draw(b *board) {
	width, height := tool.TerminalSize()
	var out bytes.Buffer
	out.WriteString("\x1b[H")
	for i, line := range s.lines(b, width, height) {
		if i > 0 {
			out.WriteString("\r\n")
		}
		out.WriteString(line + "\x1b[K")
	}
	out.WriteString("\x1b[J")
	os.Stdout.Write(out.Bytes())
}

// lines are the points, the rows by step and, as far as there is room, what is wrong with the first that fails.
func (s *screen) lines(b *board, width, height int) []string {
	w, r := wordsOf[s.lang], b.report()
	head := fmt.Sprintf(w.points, r.Score, r.Max)
	out := append([]string{bold + finding.Clip(head+"   "+s.state, width) + plain, ""}, steps(b, width)...)
	out = append(out, "")
	for line := range strings.Lines(b.wrong(s.lang, width)) {
		out = append(out, finding.Fold(strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", " "), width)...)
	}
	out = out[:min(len(out), max(height-2, 1))]
	return append(out, "", finding.Clip(w.keys, width))
}

// wrong is what to look at first: why it does not build, or the first row that failed.
func (b *board) wrong(lang string, columns int) string {
	if b.errors != "" {
		return finding.Plain(b.errors)
	}
	for _, row := range b.red() {
		if r, known := b.results[row.ID]; known {
			return r.text(options{lang: lang}, columns)
		}
	}
	return ""
}

// steps has a line for each step, more if the rows need them.
func steps(b *board, width int) (out []string) {
	column, step := 0, 0
	for _, row := range b.rows {
		length := len(row.ID) + 4
		if row.Step != step {
			step, column = row.Step, 4
			out = append(out, fmt.Sprintf("%2d  ", step))
		} else if column+length > width {
			column = 4
			out = append(out, "    ")
		}
		out[len(out)-1] += b.cell(row) + "  "
		column += length
	}
	return out
}

func (b *board) cell(row rubric.Row) string {
	r, known := b.results[row.ID]
	switch {
	case b.running[row.ID]:
		return yellow + "… " + row.ID + plain
	case !known:
		return "· " + row.ID
	case !b.fresh[row.ID]:
		return grey + "· " + row.ID + plain
	case r.Status == statusPassed:
		return green + "✓ " + row.ID + plain
	case r.Status == statusSkipped:
		return "- " + row.ID
	}
	return red + "✗ " + row.ID + plain
}
