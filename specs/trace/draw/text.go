package draw

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/birth"
)

// Terminal is what a text is drawn for.
type Terminal struct {
	Width  int // in characters
	Colour bool
	Lang   string // of a rubric.Text
}

// Widths in characters.
const (
	minWidth  = 60
	timeWidth = 11
	whoWidth  = 11 // at least
	minText   = 8
	tagWidth  = 14
)

// Escape sequences. They only underline; the text alone says everything.
const (
	bold  = "\x1b[1m"
	red   = "\x1b[1;31m"
	green = "\x1b[32m"
	plain = "\x1b[0m"
)

// text is a drawing made of lines.
type text struct {
	bytes.Buffer
	Terminal
}

// Text draws the story for a terminal.
func Text(w io.Writer, s *birth.Story, on Terminal) error {
	t := &text{Terminal: on}
	t.Width = max(t.Width, minWidth)
	title, setting := heading(s)
	t.paragraph(title, bold)
	t.paragraph(setting, "")
	t.paragraph(legend(s), "")
	t.paragraph(say("Key: * is a call, o a process starting or being notified, X its end. On the right, the step of "+
		"the lab and the row."), "")
	for _, c := range sections(s) {
		t.section(c)
	}
	if s.LeftOut > 0 {
		t.paragraph(say("%d more calls not shown.", s.LeftOut), "")
	}
	fmt.Fprintf(t, "\n%s\n", t.paint(bold, say("Step by step").In(t.Lang)))
	for _, v := range s.Verdicts {
		colour := red
		if v.OK {
			colour = green
		}
		t.hang(fmt.Sprintf("%3d  %-10s  %s  ", v.Step, v.ID, t.paint(colour, status(v))), 21, v.Text, "")
	}
	if s.Stderr != "" {
		fmt.Fprintln(t)
		t.paragraph(say("It said: %q", s.Stderr), "")
	}
	_, err := w.Write(t.Bytes())
	return err
}

func (t *text) paint(colour, s string) string {
	if !t.Colour || colour == "" || s == "" {
		return s
	}
	return colour + s + plain
}

func (t *text) paragraph(s rubric.Text, colour string) { t.hang("", 0, s, colour) }

// hang puts text behind a head as wide as the indentation of the lines that follow.
func (t *text) hang(head string, indent int, s rubric.Text, colour string) {
	for _, words := range wrap(s.In(t.Lang), t.Width-indent) {
		fmt.Fprintln(t, strings.TrimRight(head+t.paint(colour, words), " "))
		head = strings.Repeat(" ", indent)
	}
}

func (t *text) section(c section) {
	fmt.Fprintf(t, "\n%s\n", t.paint(bold, c.Title.In(t.Lang)))
	margin, who := timeWidth+2*len(c.Lanes), whoWidth
	for i := range c.Lines {
		who = max(who, utf8.RuneCountInString(c.Lines[i].Who.In(t.Lang))+1)
	}
	who = min(who, t.Width-margin-minText-tagWidth)
	width := t.Width - margin - who - tagWidth
	for n, l := range c.Lanes {
		t.hang(strings.Repeat(" ", timeWidth)+lanes(l.Head), timeWidth+2*n+2, l.Name, "")
	}
	for i := range c.Lines {
		l := &c.Lines[i]
		left := fmt.Sprintf("%*s  ", timeWidth-2, l.When())
		name, tag := l.Who.In(t.Lang), l.tag()
		for _, words := range wrap(l.Text.In(t.Lang), width) {
			fmt.Fprintln(t, strings.TrimRight(fmt.Sprintf("%s%s%-*.*s%-*s %s", left, lanes(l.Cells), who, who-1, name,
				width, words, t.paint(bold, tag)), " "))
			name, tag = "", ""
			left = strings.Repeat(" ", timeWidth)
			l.Cells = lives(l.Cells)
		}
		for _, m := range l.Marks {
			t.hang(strings.Repeat(" ", timeWidth)+lanes(l.Mark), margin, say("!! %s: %v", m.ID, m.Text), red)
		}
	}
}

// lives draws the lanes beside a continued text.
func lives(cells []cell) (next []cell) {
	next = make([]cell, len(cells))
	for i, c := range cells {
		if c.Sign != 0 && c.Sign != 'X' {
			next[i].Sign = '|'
		}
	}
	return next
}

func lanes(cells []cell) string {
	var line strings.Builder
	for _, c := range cells {
		sign, join := cmp.Or(c.Sign, ' '), ' '
		if c.Right {
			join = '-'
		}
		if c.Left && c.Right {
			sign = '-'
		}
		line.WriteString(string([]rune{sign, join}))
	}
	return line.String()
}
