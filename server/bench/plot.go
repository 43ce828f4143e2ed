package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
)

// styles differ in colour, dashes and marks, so they can also be told apart in greyscale. A mark is a path.
var styles = []struct{ contestant, legend, colour, dash, mark string }{
	{ours, "this server, in Go", "#1565c0", "none", "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z"},
	{inC, "the solution in C", "#d9480f", "none", "m-4-4h8v8h-8z"},
	{raw, "raw limit: mq_send and mq_receive alone", "#6c757d", "5 4", "m0-5l5 9h-10z"},
}

// panel is one diagram with logarithmic axes.
type panel struct {
	title, xLabel, yLabel string
	x, y, width, height   float64 // of the area between the axes, in pixels
	figures               []*figure
	xTicks, yTicks        []float64
}

// svg draws latency above and throughput below.
func (r *report) svg() []byte {
	const width, height = 1080, 810
	s := &svg{}
	s.add(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %d" `+
		`font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">`, width, height)
	s.add(`<rect width="%d" height="%d" fill="#fff"/>`, width, height)
	s.text(80, 34, "start", `font-size="18" font-weight="bold"`, "A file server on POSIX message queues")
	s.text(80, 54, "start", `fill="#555"`, r.Machine.String())
	s.text(80, 71, "start", `fill="#555"`, fmt.Sprintf("%s, %s; bars from the least to the greatest; all axes logarithmic",
		r.Machine.Date.Format("2006-01-02"), r.samples()))
	for i, style := range styles {
		x := 80 + float64(i)*210
		s.line(x, 96, x+36, 96, style.colour, 2, style.dash)
		s.mark(x+18, 96, style.colour, style.mark)
		s.text(x+44, 100, "start", "", style.legend)
	}
	var latency, speed []*panel
	for i, name := range []string{"p50", "p99"} {
		latency = append(latency, &panel{title: "Latency of 1,000 bytes, " + name, xLabel: "clients at once (3 x 2048 queues)",
			yLabel: "microseconds", x: 80 + float64(i)*525, y: 150, width: 445, height: 250,
			figures: r.where(func(f *figure) bool { return f.Clients > 0 && f.Name == name })})
	}
	for i, depth := range []int{2, 4, 10} {
		speed = append(speed, &panel{title: fmt.Sprintf("Throughput, %d messages deep", depth), xLabel: "bytes in a message",
			yLabel: "GB/s", x: 80 + float64(i)*347, y: 490, width: 276, height: 260,
			figures: r.where(func(f *figure) bool { return f.Depth == depth })})
	}
	s.draw(latency)
	s.draw(speed)
	s.add("</svg>")
	return s.Bytes()
}

func (r *report) where(fits func(*figure) bool) []*figure {
	return slices.DeleteFunc(slices.Clone(r.Figures), func(f *figure) bool { return !fits(f) })
}

// x returns a figure's value on its panel's horizontal axis.
func (p place) x() float64 { return float64(max(p.Clients, p.Size)) }

// draw draws panels side by side with a common vertical axis, if there is anything to draw.
func (s *svg) draw(panels []*panel) {
	least, greatest := math.Inf(1), 0.0
	for _, p := range panels {
		for _, f := range p.figures {
			p.xTicks = append(p.xTicks, f.x())
			for _, samples := range f.Samples {
				least, greatest = min(least, slices.Min(samples)), max(greatest, slices.Max(samples))
			}
		}
	}
	if !(least > 0 && greatest > 0) || math.IsInf(least, 1) {
		return
	}
	for _, p := range panels {
		p.yTicks = ticks(least, greatest)
		p.axes(s)
		p.lines(s)
	}
}

// ticks returns the 1, 2 and 5 times powers of ten from one at or below least to one above greatest.
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

// px and py convert values to coordinates.
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

func (p *panel) axes(s *svg) {
	right, bottom, middle := p.x+p.width, p.y+p.height, p.y+p.height/2
	s.text(p.x, p.y-14, "start", `font-size="14" font-weight="bold"`, p.title)
	for _, v := range p.yTicks {
		s.line(p.x, p.py(v), right, p.py(v), "#ddd", 1, "none")
		s.text(p.x-8, p.py(v)+4, "end", "", fmt.Sprintf("%g", v))
	}
	for _, v := range p.xTicks {
		s.line(p.px(v), bottom, p.px(v), bottom+5, "#888", 1, "none")
		s.text(p.px(v), bottom+19, "middle", "", fmt.Sprintf("%g", v))
	}
	s.line(p.x, bottom, right, bottom, "#888", 1, "none")
	s.text(p.x+p.width/2, bottom+38, "middle", `fill="#555"`, p.xLabel)
	s.text(p.x-52, middle, "middle", fmt.Sprintf(`fill="#555" transform="rotate(-90 %.1f %.1f)"`, p.x-52, middle), p.yLabel)
}

// lines connects the medians of each contestant, and draws the spread of the samples.
func (p *panel) lines(s *svg) {
	for _, style := range styles {
		var beforeX, beforeY float64
		for _, f := range p.figures {
			samples := f.of(style.contestant)
			if math.IsNaN(samples.Median) {
				continue
			}
			x, y := p.px(f.x()), p.py(samples.Median)
			s.line(x, p.py(samples.Min), x, p.py(samples.Max), style.colour, 1, "none")
			if beforeX > 0 {
				s.line(beforeX, beforeY, x, y, style.colour, 2, style.dash)
			}
			s.mark(x, y, style.colour, style.mark)
			beforeX, beforeY = x, y
		}
	}
}

// svg is a drawing under construction.
type svg struct{ bytes.Buffer }

func (s *svg) add(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

func (s *svg) text(x, y float64, anchor, attributes, text string) {
	s.add(`<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`, x, y, anchor, attributes, html.EscapeString(text))
}

func (s *svg) line(x1, y1, x2, y2 float64, colour string, width float64, dash string) {
	s.add(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%g" stroke-dasharray="%s"/>`,
		x1, y1, x2, y2, colour, width, dash)
}

func (s *svg) mark(x, y float64, colour, path string) {
	s.add(`<path d="M%.1f %.1f%s" fill="%s"/>`, x, y, path, colour)
}
