package draw

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// Measures in pixels; letters are those of a fixed-width font of 12 pixels.
const (
	pictureWidth = 1080
	margin       = 200 // for time and tag, left of the lanes
	headHeight   = 46
	lineHeight   = 16
	rowGap       = 7
	letter       = 7.25
	indent       = 14 // of the words of a call, right of its lane's line
)

const (
	ink   = "#222"
	faint = "#888"
	alarm = "#b00020"
)

// svg is a drawing under construction.
type svg struct {
	bytes.Buffer
	section
	laneWidth float64
	tops      []float64 // of the rows, and of the end
}

// picture draws a section.
func picture(c section) []byte {
	s := &svg{section: c, laneWidth: float64(pictureWidth-margin) / float64(len(c.lanes))}
	s.measure()
	height := s.tops[len(c.rows)] + 10
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" font-family="monospace" `+
		`font-size="12" fill="%s" role="img" aria-label="%s">`+"\n", pictureWidth, height, ink, html.EscapeString(c.title))
	for i := range c.lanes {
		s.drawLane(i)
	}
	for i := range c.rows {
		s.drawRow(i)
	}
	s.WriteString("</svg>\n")
	return s.Bytes()
}

// measure finds where each row begins.
func (s *svg) measure() {
	y := float64(headHeight)
	for i := range s.rows {
		s.tops = append(s.tops, y)
		row := &s.rows[i]
		if row.text != "" {
			y += float64(len(s.words(row)))*lineHeight + rowGap
		}
		for n := range row.Marks {
			y += float64(len(s.markWords(row, n)))*lineHeight + 2*rowGap
		}
	}
	s.tops = append(s.tops, y)
}

func (s *svg) words(row *placed) []string {
	return wrap(row.text, int((s.laneWidth-indent-6)/letter))
}

// markWords have all the width right of the lane's line, for marks are longer than calls.
func (s *svg) markWords(row *placed, n int) []string {
	mark := row.Marks[n]
	return wrap(fmt.Sprintf("!! %s: %s", mark.ID, mark.Text), int((pictureWidth-s.markX(row)-20)/letter))
}

// markX leaves a mark room, also one of the last lane.
func (s *svg) markX(row *placed) float64 {
	return min(s.x(row.lane)+indent, pictureWidth-420)
}

func (s *svg) x(lane int) float64 {
	return margin + 10 + float64(lane)*s.laneWidth
}

// middle is where the first line of a row has its middle.
func (s *svg) middle(i int) float64 {
	return s.tops[i] + lineHeight/2
}

func (s *svg) text(x, y float64, attributes, text string) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, attributes, html.EscapeString(text))
}

func (s *svg) line(x1, y1, x2, y2 float64, attributes string) {
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, attributes)
}

// drawLane draws a heading, and a line for as long as somebody lives in the lane.
func (s *svg) drawLane(i int) {
	l := s.lanes[i]
	s.text(s.x(i)-4, 16, `font-size="14" font-weight="bold"`, l.title)
	s.text(s.x(i)-4, 32, fmt.Sprintf(`fill="%s"`, faint), l.below)
	from, to := float64(headHeight), s.tops[len(s.rows)]
	if l.from > 0 {
		from = s.middle(l.from)
	}
	if l.to < len(s.rows) {
		to = s.middle(l.to)
	}
	s.line(s.x(i), from, s.x(i), to, fmt.Sprintf(`stroke="%s" stroke-width="2"`, faint))
}

func (s *svg) drawRow(i int) {
	row := &s.rows[i]
	y := s.tops[i]
	if row.text != "" {
		s.text(68, y+12, fmt.Sprintf(`text-anchor="end" fill="%s"`, faint),
			fmt.Sprintf("%.1f ms", float64(row.At.Microseconds())/1000))
		s.drawTag(row, y)
		if row.target >= 0 && row.target != row.lane {
			s.drawArrow(i)
		}
		s.drawPoint(row, s.middle(i))
		for n, words := range s.words(row) {
			s.text(s.x(row.lane)+indent, y+12+float64(n)*lineHeight, s.backed(), words)
		}
		y += float64(len(s.words(row)))*lineHeight + rowGap
	}
	for n := range row.Marks {
		y = s.drawMark(row, n, y)
	}
}

// backed has white behind the letters, so that lines that cross them do not spoil them.
func (s *svg) backed() string {
	return `style="paint-order: stroke" stroke="#fff" stroke-width="4" stroke-linejoin="round"`
}

// drawTag draws the number of the step in a circle and the id beside it.
func (s *svg) drawTag(row *placed, y float64) {
	if row.ID == "" {
		return
	}
	fmt.Fprintf(s, `<circle cx="88" cy="%.1f" r="8.5" fill="%s"/>`+"\n", y+8, ink)
	s.text(88, y+12, `text-anchor="middle" fill="#fff" font-weight="bold"`, fmt.Sprint(row.Step))
	s.text(103, y+12, `font-weight="bold"`, row.ID)
}

// drawPoint draws a call as a point and the end of a process as a cross.
func (s *svg) drawPoint(row *placed, y float64) {
	x := s.x(row.lane)
	if row.Ends() {
		const r = 5
		for _, d := range []float64{r, -r} {
			s.line(x-r, y-d, x+r, y+d, fmt.Sprintf(`stroke="%s" stroke-width="2.5"`, ink))
		}
		return
	}
	fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x, y, ink)
}

// drawArrow leads to the process that is made, which begins with a ring, or told.
func (s *svg) drawArrow(i int) {
	row := &s.rows[i]
	y, from, to := s.middle(i), s.x(row.lane), s.x(row.target)
	tip := to - 6
	back := -8.0
	if to < from {
		tip, back = to+6, 8
	} else {
		from += indent + float64(utf8.RuneCountInString(s.words(row)[0]))*letter + 6
	}
	s.line(from, y, tip, y, fmt.Sprintf(`stroke="%s" stroke-dasharray="5 3"`, ink))
	fmt.Fprintf(s, `<path d="M%.1f %.1fl%.1f -4v8z" fill="%s"/>`+"\n", tip, y, back, ink)
	fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="4.5" fill="#fff" stroke="%s" stroke-width="2"/>`+"\n", to, y, ink)
}

// drawMark draws what is wrong in a box with a thick edge, and returns where the next thing begins.
func (s *svg) drawMark(row *placed, n int, y float64) float64 {
	words := s.markWords(row, n)
	x, height, width := s.markX(row), float64(len(words))*lineHeight+6, 0
	for _, line := range words {
		width = max(width, utf8.RuneCountInString(line))
	}
	fmt.Fprintf(s, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#fff" stroke="%s" stroke-width="2"/>`+"\n",
		x, y-2, float64(width)*letter+16, height, alarm)
	fmt.Fprintf(s, `<rect x="%.1f" y="%.1f" width="6" height="%.1f" fill="%s"/>`+"\n", x, y-2, height, alarm)
	for i, line := range words {
		s.text(x+12, y+12+float64(i)*lineHeight, fmt.Sprintf(`font-weight="bold" fill="%s"`, alarm), strings.TrimSpace(line))
	}
	return y + float64(len(words))*lineHeight + 2*rowGap
}
