package draw

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"daemonlab/specs/trace/birth"
)

// Widths in characters.
const (
	textWidth = 119
	timeWidth = 10
	tagWidth  = 13
)

// Escape sequences; they only underline what the text says already.
const (
	bold  = "\x1b[1m"
	red   = "\x1b[1;31m"
	green = "\x1b[32m"
	plain = "\x1b[0m"
)

// text is a drawing of lines.
type text struct {
	bytes.Buffer
	colour bool
}

// Text draws the story for a terminal, with colours if it is to.
func Text(w io.Writer, s *birth.Story, colour bool) error {
	t := &text{colour: colour}
	title, setting := heading(s)
	t.paragraph(title, bold)
	t.paragraph(setting, "")
	t.paragraph("Signs: * a call, o a process that begins or is told, X its end, !! missing or out of order. On the right "+
		"the step and its id.", "")
	for _, c := range sections(s) {
		t.section(c)
	}
	if s.LeftOut > 0 {
		t.paragraph(fmt.Sprintf("%d more calls are not shown.", s.LeftOut), "")
	}
	t.verdicts(s)
	if s.Stderr != "" {
		t.paragraph(fmt.Sprintf("\nIt said: %q", s.Stderr), "")
	}
	_, err := w.Write(t.Bytes())
	return err
}

func (t *text) paint(colour, s string) string {
	if !t.colour || colour == "" || s == "" {
		return s
	}
	return colour + s + plain
}

func (t *text) paragraph(s, colour string) {
	for _, line := range wrap(s, textWidth) {
		fmt.Fprintln(t, t.paint(colour, line))
	}
}

func (t *text) section(c section) {
	width := (textWidth - timeWidth - tagWidth) / len(c.lanes)
	fmt.Fprintf(t, "\n%s\n", t.paint(bold, c.title))
	for _, name := range []func(lane) string{func(l lane) string { return l.title }, func(l lane) string { return l.below }} {
		line := strings.Repeat(" ", timeWidth)
		for _, l := range c.lanes {
			line += fmt.Sprintf("%-*.*s", width, width-1, name(l))
		}
		fmt.Fprintln(t, strings.TrimRight(line, " "))
	}
	for i := range c.rows {
		t.row(c, i, width)
	}
}

// row draws a call over as many lines as its lane needs, and its marks below.
func (t *text) row(c section, i, width int) {
	row := &c.rows[i]
	if row.text != "" {
		for n, words := range wrap(row.text, width-3) {
			when, tag := "", ""
			if n == 0 {
				when, tag = fmt.Sprintf("%6.1f ms", float64(row.At.Microseconds())/1000), row.tag()
			}
			line := fmt.Sprintf("%-*s%s %s", timeWidth, when, t.lanes(c, i, n, width, words), t.paint(bold, tag))
			fmt.Fprintln(t, strings.TrimRight(line, " "))
		}
	}
	for _, m := range row.Marks {
		for n, words := range wrap(m.ID+": "+m.Text, textWidth-timeWidth-width*row.lane-5) {
			sign := "!! "
			if n > 0 {
				sign = "   "
			}
			line := string(t.lifelines(c, i, row.lane, width)) + sign + words
			fmt.Fprintf(t, "%*s%s\n", timeWidth, "", t.paint(red, line))
		}
	}
}

// lifelines draws the lanes before one.
func (t *text) lifelines(c section, i, before, width int) []rune {
	line := []rune(strings.Repeat(" ", width*before))
	for n := range before {
		if c.lanes[n].from < i && i < c.lanes[n].to {
			line[n*width] = '|'
		}
	}
	return line
}

// lanes draws line n of a row: all lifelines, the words in their lane, and an arrow to another lane.
func (t *text) lanes(c section, i, n, width int, words string) string {
	row := &c.rows[i]
	line := t.lifelines(c, i, len(c.lanes), width)
	at := row.lane * width
	if n > 0 {
		copy(line[at+2:], []rune(words))
		return string(line)
	}
	line[at] = '*'
	if row.Ends() {
		line[at] = 'X'
	}
	copy(line[at+2:], []rune(words))
	if row.target >= 0 && row.target != row.lane {
		arrow(line, at, at+2+utf8.RuneCountInString(words), row.target*width)
	}
	return string(line)
}

// arrow goes from a call, whose words end somewhere, to another lane.
func arrow(line []rune, at, end, target int) {
	line[target] = 'o'
	if target < at {
		line[target+1] = '<'
		for i := target + 2; i < at-1; i++ {
			line[i] = '-'
		}
		return
	}
	for i := end + 1; i < target-1; i++ {
		line[i] = '-'
	}
	line[target-1] = '>'
}

func (t *text) verdicts(s *birth.Story) {
	fmt.Fprintf(t, "\n%s\n", t.paint(bold, "Step by step"))
	for _, v := range s.Verdicts {
		colour := red
		if v.OK {
			colour = green
		}
		for n, words := range wrap(v.Text, textWidth-22) {
			if n > 0 {
				fmt.Fprintf(t, "%22s%s\n", "", words)
				continue
			}
			fmt.Fprintf(t, "  %2d  %-12s%s  %s\n", v.Step, v.ID, t.paint(colour, status(v)), words)
		}
	}
}
