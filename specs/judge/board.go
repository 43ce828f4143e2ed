package main

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// board is what --watch knows of the rows, and its display: a terminal's alternate screen, which restores what was
// there before, elsewhere a line for each change.
type board struct {
	rows     []rubric.Row
	lang     string
	terminal bool
	resized  chan os.Signal

	mu      sync.Mutex
	results map[string]result
	running map[string]bool
	fresh   map[string]bool // judged in this round: the status of the others is from an earlier one
	errors  string          // of the last build, if it failed
	state   rubric.Text
}

// Sequences of console_codes(4).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // alternate screen, no cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	green       = "\x1b[32m"
	red         = "\x1b[31m"
	grey        = "\x1b[90m"
	yellow      = "\x1b[33m"
	bold        = "\x1b[1m"
	plain       = "\x1b[0m"
)

func newBoard(rows []rubric.Row, lang string) *board {
	b := &board{rows: rows, lang: lang, terminal: term.IsTerminal(int(os.Stdout.Fd())), resized: make(chan os.Signal, 1),
		results: map[string]result{}, running: map[string]bool{}, fresh: map[string]bool{}}
	if b.terminal {
		os.Stdout.WriteString(enterScreen)
		signal.Notify(b.resized, unix.SIGWINCH)
		go func() {
			for range b.resized {
				b.mu.Lock()
				b.draw()
				b.mu.Unlock()
			}
		}()
	}
	return b
}

// close leaves the points on the user's screen.
func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.terminal {
		signal.Stop(b.resized)
		fmt.Printf("%s%s\n", leaveScreen, b.points())
	}
}

// round begins a round: nothing is known of the programs as they are now. It returns the rows to judge, first those
// that have not passed.
func (b *board) round() (red, others []rubric.Row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.fresh)
	for _, row := range b.rows {
		if b.isRed(row) {
			red = append(red, row)
		} else {
			others = append(others, row)
		}
	}
	return red, others
}

func (b *board) isRed(row rubric.Row) bool {
	status := b.results[row.ID].Status
	return status != statusPassed && status != statusSkipped
}

// note records that a row has begun, or its result unless it was interrupted.
func (b *board) note(r result, counts bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := ""
	b.running[r.ID] = r.Status == statusBegun
	if r.Status != statusBegun && counts {
		if b.results[r.ID].Status != r.Status {
			news = fmt.Sprintf("%-7s %s: %s\n", marks[r.Status].In(b.lang), r.ID, r.line(b.lang))
		}
		b.results[r.ID] = r
		b.fresh[r.ID] = true
	}
	b.show(finding.Say("judging"), news)
}

// rest says at the end of a round what it waits for.
func (b *board) rest(programsAreThere bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := b.waits(programsAreThere)
	b.show(state, fmt.Sprintf("%s; %s\n", b.points(), state.In(b.lang)))
}

func (b *board) built(output string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	failed := b.errors != ""
	b.errors = ""
	if !ok {
		b.errors = output
	}
	if failed || !ok {
		b.show(b.waits(true), b.errors)
	}
}

func (b *board) waits(programsAreThere bool) rubric.Text {
	switch {
	case b.errors != "":
		return finding.Say("it does not build")
	case !programsAreThere:
		return finding.Say("waiting for the programs: build them")
	case !slices.ContainsFunc(b.rows, b.isRed):
		return finding.Say("everything passes")
	}
	return finding.Say("waiting for the next build")
}

func (b *board) report() report {
	var results []result
	for _, row := range b.rows {
		r, known := b.results[row.ID]
		if !known {
			r = newResult(row, statusFailed, rubric.Text{})
		}
		results = append(results, r)
	}
	return newReport(results)
}

func (b *board) points() string {
	r := b.report()
	return finding.Say("%d of %d points", r.Score, r.Max).In(b.lang)
}

// show draws the screen; without one it prints what is new.
func (b *board) show(state rubric.Text, news string) {
	b.state = state
	if b.terminal {
		b.draw()
	} else {
		os.Stdout.WriteString(news)
	}
}

func (b *board) draw() {
	width, height := tool.TerminalSize()
	os.Stdout.WriteString("\x1b[H" + strings.Join(b.lines(width, height), "\x1b[K\r\n") + "\x1b[K\x1b[J")
}

// lines are the points, the rows by step and, as far as there is room, the first failed row's fault.
func (b *board) lines(width, height int) []string {
	head := finding.Clip(b.points()+"   "+b.state.In(b.lang), width)
	out := append([]string{bold + head + plain, ""}, b.steps(width)...)
	out = append(out, "")
	for line := range strings.Lines(b.wrong(width)) {
		out = append(out, finding.Fold(strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", " "), width)...)
	}
	out = out[:min(len(out), max(height-2, 1))]
	return append(out, "", finding.Clip(finding.Say("Ctrl-C ends").In(b.lang), width))
}

// wrong is what to look at first: why the build failed, or the first row that failed.
func (b *board) wrong(columns int) string {
	if b.errors != "" {
		return finding.Plain(b.errors)
	}
	for _, row := range b.rows {
		if r, known := b.results[row.ID]; known && b.isRed(row) {
			return r.text(b.lang, false, columns)
		}
	}
	return ""
}

// steps has a line for each step, more if the rows need them.
func (b *board) steps(width int) (out []string) {
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
