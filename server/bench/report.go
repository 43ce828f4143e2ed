package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// report is everything that was measured.
type report struct {
	Machine machine   `json:"machine"`
	Rounds  int       `json:"rounds"`
	Quick   bool      `json:"quick"`
	Notes   []string  `json:"notes,omitempty"`
	Figures []*figure `json:"figures"`
}

// figure is one quantity, measured for each contestant in each round.
type figure struct {
	key
	Samples map[string][]float64 `json:"samples"`
}

type key struct {
	place
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Better string `json:"better"` // "higher" or "lower"
}

// place is where in the plot a figure lies, nowhere if it is of the table.
type place struct {
	Clients int `json:"clients,omitempty"`
	Depth   int `json:"depth,omitempty"`
	Size    int `json:"size,omitempty"` // bytes of a message
}

func (r *report) add(k key, contestant string, value float64) {
	i := slices.IndexFunc(r.Figures, func(f *figure) bool { return f.key == k })
	if i < 0 {
		i = len(r.Figures)
		r.Figures = append(r.Figures, &figure{k, map[string][]float64{}})
	}
	samples := r.Figures[i].Samples
	samples[contestant] = append(samples[contestant], value)
}

// note keeps what a reader has to know, once.
func (r *report) note(text string) {
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
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

// median is the middle sample, or the mean of the two in the middle. It is NaN of none.
func median(samples []float64) float64 {
	n := len(samples)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratios are those of the table, each of the medians of two contestants.
var ratios = []struct{ of, to string }{{ours, inC}, {ours, raw}, {ours, sysv}}

// ratio divides the medians of two contestants; ok is false when one of them has none, or the second has 0.
func (f *figure) ratio(of, to string) (ratio float64, ok bool) {
	a, okA := f.of(of)
	b, okB := f.of(to)
	if !okA || !okB || b.Median == 0 {
		return 0, false
	}
	return a.Median / b.Median, true
}

// MarshalJSON adds medians and ratios to the samples.
func (f *figure) MarshalJSON() ([]byte, error) {
	type plain figure
	all := struct {
		*plain
		Summary map[string]spread  `json:"summary"`
		Ratios  map[string]float64 `json:"ratios"`
	}{(*plain)(f), map[string]spread{}, map[string]float64{}}
	for name := range f.Samples {
		all.Summary[name], _ = f.of(name)
	}
	for _, r := range ratios {
		if value, ok := f.ratio(r.of, r.to); ok {
			all.Ratios[r.of+"/"+r.to] = value
		}
	}
	return json.Marshal(all)
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
	for _, f := range r.Figures {
		if !units[f.Unit] {
			units[f.Unit] = true
			fmt.Fprintf(&b, "Unit %s better=%s\n", f.Unit, f.Better)
		}
		name := strings.NewReplacer(", ", "/", ",", "", " ", "-").Replace(f.Name)
		if f.Clients > 0 {
			name += fmt.Sprintf("/clients=%d", f.Clients)
		}
		if f.Depth > 0 {
			name += fmt.Sprintf("/depth=%d/size=%d", f.Depth, f.Size)
		}
		for _, server := range slices.Sorted(maps.Keys(f.Samples)) {
			for _, sample := range f.Samples[server] {
				fmt.Fprintf(&b, "BenchmarkServer/%s/server=%s 1 %g %s\n", name, strings.ReplaceAll(server, " ", "-"), sample, f.Unit)
			}
		}
	}
	return b.Bytes()
}

// table prints what people read.
func (r *report) table(out io.Writer) error {
	fmt.Fprintf(out, "%s\n%s, load average before %s\n%s (least-greatest)\n\n", r.Machine,
		r.Machine.Date.Format("2006-01-02 15:04 MST"), r.Machine.LoadAvg, r.samples())
	columns := []string{ours, inC, raw}
	if slices.ContainsFunc(r.Figures, func(f *figure) bool { return len(f.Samples[sysv]) > 0 }) {
		columns = append(columns, sysv)
	}
	ratios := ratios[:len(columns)-1]
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\t\t%s", strings.Join(columns, "\t"))
	for _, q := range ratios {
		fmt.Fprintf(w, "\t%s/%s", q.of, q.to)
	}
	for _, f := range r.Figures {
		if f.place != (place{}) {
			continue
		}
		fmt.Fprintf(w, "\n%s\t%s", f.Name, f.Unit)
		for _, c := range columns {
			s, ok := f.of(c)
			cell(w, s, ok)
		}
		for _, q := range ratios {
			value, ok := f.ratio(q.of, q.to)
			cell(w, fmt.Sprintf("%.2f", value), ok)
		}
	}
	fmt.Fprintln(w)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "\n%s\n", n)
	}
	return nil
}

func cell(w io.Writer, content any, ok bool) {
	if !ok {
		content = "-"
	}
	fmt.Fprint(w, "\t", content)
}

// samples says what figures are made of.
func (r *report) samples() string {
	if r.Rounds == 1 {
		return "one round"
	}
	return fmt.Sprintf("medians of %d rounds", r.Rounds)
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
	digits := 2
	if x >= 10 {
		digits--
	}
	if x >= 100 {
		digits--
	}
	return fmt.Sprintf("%.*f", digits, x)
}

// machine is where figures were measured, without which they mean nothing.
type machine struct {
	CPU     string    `json:"cpu"`
	Cores   int       `json:"cores"`
	Kernel  string    `json:"kernel"`
	Go      string    `json:"go"`
	GCC     string    `json:"gcc"`
	User    string    `json:"user"` // "root" or "ordinary user"
	Date    time.Time `json:"date"`
	LoadAvg string    `json:"load_average"` // of 1, 5 and 15 minutes, before the first load
}

func thisMachine() machine {
	user := "ordinary user"
	if os.Geteuid() == 0 {
		user = "root"
	}
	var u unix.Utsname
	unix.Uname(&u)
	kernel := []string{unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]),
		unix.ByteSliceToString(u.Machine[:])}
	gcc, _ := exec.Command("gcc", "-dumpfullversion").Output()
	load, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(load))
	return machine{CPU: cpuModel(), Cores: runtime.NumCPU(), Kernel: strings.Join(kernel, " "), Go: runtime.Version(),
		GCC: cmp.Or(strings.TrimSpace(string(gcc)), "unknown"), User: user, Date: time.Now().UTC().Truncate(time.Second),
		LoadAvg: strings.Join(fields[:min(3, len(fields))], " ")}
}

// String is one line.
func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s, go %s, gcc %s, as %s", m.CPU, m.Cores, m.Kernel,
		strings.TrimPrefix(m.Go, "go"), m.GCC, m.User)
}

// cpuModel looks for the names that architectures give it in /proc/cpuinfo.
func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for _, want := range []string{"model name", "Model", "CPU part"} {
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			if strings.TrimSpace(key) == want {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown CPU"
}
