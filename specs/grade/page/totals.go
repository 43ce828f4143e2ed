package page

import (
	"fmt"
	"slices"

	"daemonlab/specs/grade/class"
)

// totals is how the points are distributed, in percent of what could be had.
type totals struct {
	N                      int
	Mean                   string
	Least, Q1, Q2, Q3, Top int
	Bins                   []bin
	MedianX                int
}

// bin is a bar of the histogram, placed in its drawing.
type bin struct {
	Label                       string
	N                           int
	X, Y, Width, Height, Middle int
}

// The drawing has this many units of width for a bin and of height for the highest. The style sheet scales it.
const (
	binWidth  = 48
	binGap    = 6
	barHeight = 120
	binCount  = 11 // tens, and 100 by itself
)

func newTotals(c class.Class) totals {
	var all []int
	sum := 0
	for _, s := range c.Submissions {
		if got, of, given := s.Points(c.Rubric); given && !s.Undecided() {
			all = append(all, percent(got, of))
			sum += percent(got, of)
		}
	}
	t := totals{N: len(all), Bins: bins(all)}
	if t.N == 0 {
		return t
	}
	slices.Sort(all)
	at := func(quarter int) int { // between two of them, in proportion
		i, part := (t.N-1)*quarter/4, (t.N-1)*quarter%4
		if part == 0 {
			return all[i]
		}
		return all[i] + ((all[i+1]-all[i])*part+2)/4
	}
	t.Least, t.Q1, t.Q2, t.Q3, t.Top = at(0), at(1), at(2), at(3), at(4)
	t.Mean = fmt.Sprintf("%.1f", float64(sum)/float64(t.N))
	t.MedianX = t.Q2 * binWidth / 10
	return t
}

func bins(all []int) []bin {
	drawn := make([]bin, binCount)
	most := 1
	for _, percent := range all {
		b := &drawn[percent/10]
		b.N++
		most = max(most, b.N)
	}
	for i := range drawn {
		b := &drawn[i]
		b.Label = fmt.Sprintf("%d–%d", i*10, i*10+9)
		b.X, b.Width = i*binWidth+binGap/2, binWidth-binGap
		b.Height = b.N * barHeight / most
		b.Y = barHeight - b.Height
		b.Middle = b.X + b.Width/2
	}
	drawn[binCount-1].Label = "100"
	return drawn
}
