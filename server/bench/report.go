package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is everything that was measured.
type report struct {
	Machine machine   `json:"machine"`
	Rounds  int       `json:"rounds"`
	Quick   bool      `json:"quick"`
	Notes   []string  `json:"notes,omitempty"`
	Figures []*figure `json:"figures"`
	Latency []*figure `json:"latency_by_clients"`
	Speed   []*figure `json:"throughput_by_shape"`
}

func newReport(o options) *report {
	return &report{Machine: thisMachine(), Rounds: o.rounds, Quick: o.quick}
}

// figure finds a figure of the table by its name, or begins it.
func (r *report) figure(name, unit, better string) *figure {
	return find(&r.Figures, figure{Name: name, Unit: unit, Better: better})
}

// latency is the figure of so many clients, "p50" or "p99".
func (r *report) latency(clients int, name string) *figure {
	return find(&r.Latency, figure{place: place{Clients: clients}, Name: name, Unit: "us", Better: "lower"})
}

func (r *report) throughput(s shape) *figure {
	return find(&r.Speed, figure{place: place{Depth: s.depth, Size: s.size}, Name: "throughput", Unit: "GB/s", Better: "higher"})
}

func find(figures *[]*figure, want figure) *figure {
	for _, f := range *figures {
		if f.place == want.place && f.Name == want.Name {
			return f
		}
	}
	*figures = append(*figures, &want)
	return &want
}

// note keeps what a reader has to know, once.
func (r *report) note(text string) {
	for _, n := range r.Notes {
		if n == text {
			return
		}
	}
	r.Notes = append(r.Notes, text)
}

// ratios are those of the table, each of the medians of two contestants.
var ratios = []struct{ of, to string }{{ours, inC}, {ours, raw}, {ours, sysv}}

// MarshalJSON adds medians and ratios to the samples.
func (f *figure) MarshalJSON() ([]byte, error) {
	type plain figure
	return json.Marshal(struct {
		*plain
		Summary map[string]spread  `json:"summary"`
		Ratios  map[string]float64 `json:"ratios"`
	}{(*plain)(f), f.summary(), f.ratios()})
}

func (f *figure) summary() map[string]spread {
	all := map[string]spread{}
	for name := range f.Samples {
		all[name], _ = f.of(name)
	}
	return all
}

func (f *figure) ratios() map[string]float64 {
	all := map[string]float64{}
	for _, r := range ratios {
		if value, ok := f.ratio(r.of, r.to); ok {
			all[r.of+"/"+r.to] = value
		}
	}
	return all
}

func (r *report) json() []byte {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err) // a type that JSON does not know
	}
	return append(text, '\n')
}

// benchmarks is all samples in Go's benchmark format, in which benchstat compares runs, and with -col /server servers.
func (r *report) benchmarks() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "goos: linux\ngoarch: %s\npkg: daemonlab/server/bench\ncpu: %s\n", runtime.GOARCH, r.Machine.CPU)
	units := map[string]bool{}
	for _, f := range slices.Concat(r.Figures, r.Latency, r.Speed) {
		if !units[f.Unit] {
			units[f.Unit] = true
			fmt.Fprintf(&b, "Unit %s better=%s\n", f.Unit, f.Better)
		}
		name := strings.NewReplacer(", ", "/", ",", "", " ", "-").Replace(f.Name)
		for _, key := range []struct {
			name  string
			value int
		}{{"clients", f.Clients}, {"depth", f.Depth}, {"size", f.Size}} {
			if key.value > 0 {
				name += fmt.Sprintf("/%s=%d", key.name, key.value)
			}
		}
		for _, server := range slices.Sorted(maps.Keys(f.Samples)) {
			for _, sample := range f.Samples[server] {
				fmt.Fprintf(&b, "BenchmarkServer/%s/server=%s 1 %g %s\n", name, strings.ReplaceAll(server, " ", "-"), sample, f.Unit)
			}
		}
	}
	return b.Bytes()
}

// String is one line.
func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s, go %s, gcc %s, as %s", m.CPU, m.Cores, m.Kernel,
		strings.TrimPrefix(m.Go, "go"), m.GCC, m.User)
}

// table prints what people read.
func (r *report) table(out io.Writer) error {
	fmt.Fprintf(out, "%s\n%s, load average before %s\n%s (least-greatest)\n\n", r.Machine,
		r.Machine.Date.Format("2006-01-02 15:04 MST"), r.Machine.LoadAvg, r.samples())
	columns := []string{ours, inC, raw}
	if r.has(sysv) {
		columns = append(columns, sysv)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\t\t%s", strings.Join(columns, "\t"))
	for _, q := range ratios[:len(columns)-1] {
		fmt.Fprintf(w, "\t%s/%s", q.of, q.to)
	}
	fmt.Fprintln(w)
	for _, f := range r.Figures {
		f.row(w, columns)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "\n%s\n", n)
	}
	return nil
}

// samples says what figures are made of.
func (r *report) samples() string {
	if r.Rounds == 1 {
		return "one round"
	}
	return fmt.Sprintf("medians of %d rounds", r.Rounds)
}

func (r *report) has(contestant string) bool {
	for _, f := range r.Figures {
		if len(f.Samples[contestant]) > 0 {
			return true
		}
	}
	return false
}

func (f *figure) row(w io.Writer, columns []string) {
	fmt.Fprintf(w, "%s\t%s", f.Name, f.Unit)
	for _, c := range columns {
		if s, ok := f.of(c); ok {
			fmt.Fprint(w, "\t", s)
		} else {
			fmt.Fprint(w, "\t-")
		}
	}
	for _, q := range ratios[:len(columns)-1] {
		if value, ok := f.ratio(q.of, q.to); ok {
			fmt.Fprintf(w, "\t%.2f", value)
		} else {
			fmt.Fprint(w, "\t-")
		}
	}
	fmt.Fprintln(w)
}

// String leaves the extremes out when there are none.
func (s spread) String() string {
	if s.Min == s.Max {
		return short(s.Median)
	}
	return fmt.Sprintf("%s (%s-%s)", short(s.Median), short(s.Min), short(s.Max))
}

// short writes a number with three digits or so.
func short(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}
