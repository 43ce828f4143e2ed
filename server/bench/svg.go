package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// panel is one diagram with logarithmic axes.
type panel struct {
	title, xLabel, yLabel string
	x, y, width, height   float64 // of the area between the axes, in pixels
	xTicks, yTicks        []float64
	lines                 []line
}

// line joins points of one contestant, each with the spread of its samples.
type line struct {
	style  style
	points []dot
}

type dot struct {
	x float64
	spread
}

type style struct {
	name, colour, dash, mark string
}

// svg is a drawing under construction.
type svg struct{ bytes.Buffer }

func newSVG(width, height int) *svg {
	s := &svg{}
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" `+
		`font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">`+"\n", width, height, width, height)
	fmt.Fprintf(s, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	return s
}

func (s *svg) end() []byte {
	s.WriteString("</svg>\n")
	return s.Bytes()
}

func (s *svg) text(x, y float64, anchor, attributes, text string) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, attributes,
		html.EscapeString(text))
}

func (s *svg) line(x1, y1, x2, y2 float64, colour string, width float64, dash string) {
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%g" stroke-dasharray="%s"/>`+
		"\n", x1, y1, x2, y2, colour, width, dash)
}

func (s *svg) mark(x, y float64, st style) {
	const r = 4
	switch st.mark {
	case "square":
		fmt.Fprintf(s, `<rect x="%.1f" y="%.1f" width="%d" height="%d" fill="%s"/>`+"\n", x-r, y-r, 2*r, 2*r, st.colour)
	case "triangle":
		fmt.Fprintf(s, `<path d="M%.1f %.1fl%d %dh%dz" fill="%s"/>`+"\n", x, y-r-1, r+1, 2*r+1, -2*r-2, st.colour)
	default:
		fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="%d" fill="%s"/>`+"\n", x, y, r, st.colour)
	}
}

// px and py are where a value lies.
func (p *panel) px(v float64) float64 {
	first, last := p.xTicks[0], p.xTicks[len(p.xTicks)-1]
	if first == last {
		return p.x + p.width/2
	}
	const inset = 14 // keeps marks off the axes
	return p.x + inset + (p.width-2*inset)*math.Log(v/first)/math.Log(last/first)
}

func (p *panel) py(v float64) float64 {
	first, last := p.yTicks[0], p.yTicks[len(p.yTicks)-1]
	return p.y + p.height*(1-math.Log(v/first)/math.Log(last/first))
}

// ticks are the 1, 2 and 5 times powers of ten from one that is not above least to one that is above greatest.
func ticks(least, greatest float64) (all []float64) {
	for power := math.Floor(math.Log10(least)); ; power++ {
		for _, factor := range []float64{1, 2, 5} {
			tick := factor * math.Pow(10, power)
			if tick <= least {
				all = nil
			}
			if all = append(all, tick); tick > greatest {
				return all
			}
		}
	}
}

// draw draws the panel.
func (p *panel) draw(s *svg) {
	s.text(p.x, p.y-14, "start", `font-size="14" font-weight="bold"`, p.title)
	for _, v := range p.yTicks {
		y := p.py(v)
		s.line(p.x, y, p.x+p.width, y, "#ddd", 1, "none")
		s.text(p.x-8, y+4, "end", "", fmt.Sprintf("%g", v))
	}
	for _, v := range p.xTicks {
		x := p.px(v)
		s.line(x, p.y+p.height, x, p.y+p.height+5, "#888", 1, "none")
		s.text(x, p.y+p.height+19, "middle", "", fmt.Sprintf("%g", v))
	}
	s.line(p.x, p.y+p.height, p.x+p.width, p.y+p.height, "#888", 1, "none")
	s.text(p.x+p.width/2, p.y+p.height+38, "middle", `fill="#555"`, p.xLabel)
	middle := p.y + p.height/2
	s.text(p.x-52, middle, "middle", fmt.Sprintf(`fill="#555" transform="rotate(-90 %.1f %.1f)"`, p.x-52, middle), p.yLabel)
	for _, l := range p.lines {
		p.drawLine(s, l)
	}
}

func (p *panel) drawLine(s *svg, l line) {
	for i, d := range l.points {
		x, y := p.px(d.x), p.py(d.Median)
		s.line(x, p.py(d.Min), x, p.py(d.Max), l.style.colour, 1, "none")
		if i > 0 {
			before := l.points[i-1]
			s.line(p.px(before.x), p.py(before.Median), x, y, l.style.colour, 2, l.style.dash)
		}
		s.mark(x, y, l.style)
	}
}
