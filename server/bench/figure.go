package main

import (
	"math"
	"slices"
)

// figure is one quantity, measured for each contestant in each round.
type figure struct {
	place
	Name    string               `json:"name"`
	Unit    string               `json:"unit"`
	Better  string               `json:"better"` // "higher" or "lower"
	Samples map[string][]float64 `json:"samples"`
}

// place is where in the plot a figure lies, nowhere if it is only of the table.
type place struct {
	Clients int `json:"clients,omitempty"`
	Depth   int `json:"depth,omitempty"`
	Size    int `json:"size,omitempty"` // bytes of a message
}

func (f *figure) add(contestant string, value float64) {
	if f.Samples == nil {
		f.Samples = map[string][]float64{}
	}
	f.Samples[contestant] = append(f.Samples[contestant], value)
}

// spread sums samples up.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// of sums up the samples of a contestant; ok is false when there are none.
func (f *figure) of(contestant string) (s spread, ok bool) {
	samples := f.Samples[contestant]
	if len(samples) == 0 {
		return s, false
	}
	return spread{median(samples), slices.Min(samples), slices.Max(samples)}, true
}

// ratio divides the medians of two contestants; ok is false when one of them has none, or the second has 0.
func (f *figure) ratio(of, to string) (ratio float64, ok bool) {
	a, okA := f.of(of)
	b, okB := f.of(to)
	if !okA || !okB || b.Median == 0 {
		return 0, false
	}
	return a.Median / b.Median, true
}

// median is the middle sample, or the mean of the two in the middle. It is NaN of none.
func median(samples []float64) float64 {
	n := len(samples)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
