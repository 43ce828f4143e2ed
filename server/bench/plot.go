package main

import (
	"fmt"
	"math"
	"slices"
)

// styles differ in colour, dashes and marks, so that they can be told apart in grey as well.
var styles = []style{
	{ours, "#1565c0", "none", "circle"},
	{inC, "#d9480f", "none", "square"},
	{raw, "#6c757d", "5 4", "triangle"},
}

var legends = map[string]string{
	ours: "this server, in Go",
	inC:  "the solution in C",
	raw:  "raw limit: mq_send and mq_receive alone",
}

// svg draws latency above and throughput below.
func (r *report) svg() []byte {
	const width, height = 1080, 810
	s := newSVG(width, height)
	s.text(80, 34, "start", `font-size="18" font-weight="bold"`, "A file server on POSIX message queues")
	s.text(80, 54, "start", `fill="#555"`, r.Machine.String())
	s.text(80, 71, "start", `fill="#555"`, fmt.Sprintf("%s, %s; bars from the least to the greatest; all axes logarithmic",
		r.Machine.Date.Format("2006-01-02"), r.samples()))
	x := 80.0
	for _, st := range styles {
		s.line(x, 96, x+36, 96, st.colour, 2, st.dash)
		s.mark(x+18, 96, st)
		s.text(x+44, 100, "start", "", legends[st.name])
		x += 210
	}
	for _, p := range append(r.latencyPanels(), r.speedPanels()...) {
		p.draw(s)
	}
	return s.end()
}

func (r *report) latencyPanels() []*panel {
	var panels []*panel
	for i, name := range []string{"p50", "p99"} {
		p := &panel{title: fmt.Sprintf("Latency of 1,000 bytes, %s", name), xLabel: "clients at once (3 x 2048 queues)",
			yLabel: "microseconds", x: 80 + float64(i)*525, y: 150, width: 445, height: 250}
		p.take(r.Latency, func(q *figure) (float64, bool) { return float64(q.Clients), q.Name == name })
		panels = append(panels, p)
	}
	return share(panels)
}

func (r *report) speedPanels() []*panel {
	var panels []*panel
	for i, depth := range depths(r.Speed) {
		p := &panel{title: fmt.Sprintf("Throughput, %d messages deep", depth), xLabel: "bytes in a message",
			yLabel: "GB/s", x: 80 + float64(i)*347, y: 490, width: 276, height: 260}
		p.take(r.Speed, func(q *figure) (float64, bool) { return float64(q.Size), q.Depth == depth })
		panels = append(panels, p)
	}
	return share(panels)
}

func depths(points []*figure) []int {
	var all []int
	for _, p := range points {
		if !slices.Contains(all, p.Depth) {
			all = append(all, p.Depth)
		}
	}
	return all
}

// take makes a line of each contestant, of the points that are chosen.
func (p *panel) take(points []*figure, choose func(*figure) (x float64, ok bool)) {
	for _, st := range styles {
		l := line{style: st}
		for _, q := range points {
			x, chosen := choose(q)
			s, measured := q.of(st.name)
			if chosen && measured {
				l.points = append(l.points, dot{x, s})
			}
			if chosen && !slices.Contains(p.xTicks, x) {
				p.xTicks = append(p.xTicks, x)
			}
		}
		p.lines = append(p.lines, l)
	}
}

// share gives panels that stand side by side the same vertical axis, and leaves out those without points.
func share(panels []*panel) []*panel {
	least, greatest := math.Inf(1), 0.0
	for _, p := range panels {
		for _, l := range p.lines {
			for _, d := range l.points {
				least, greatest = min(least, d.Min), max(greatest, d.Max)
			}
		}
	}
	if !(least > 0 && greatest > 0) || math.IsInf(least, 1) {
		return nil
	}
	for _, p := range panels {
		p.yTicks = ticks(least, greatest)
	}
	return panels
}
