package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report has all measurements.
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

// place is the position of a figure in the plot; zero for a figure of the table.
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

// note adds a note for the reader, once.
func (r *report) note(text string) {
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// spread summarizes samples.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// of summarizes the samples of a contestant, as NaN if there are none. The median of an even number is the mean of the
// middle two.
func (f *figure) of(contestant string) spread {
	sorted := slices.Sorted(slices.Values(f.Samples[contestant]))
	n := len(sorted)
	if n == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// ratios are the ratios of medians in the table.
var ratios = []struct{ of, to string }{{ours, inC}, {ours, raw}, {ours, sysv}}

// ratio divides the medians of two contestants; NaN if one is missing.
func (f *figure) ratio(of, to string) float64 {
	if ratio := f.of(of).Median / f.of(to).Median; !math.IsInf(ratio, 0) {
		return ratio
	}
	return math.NaN()
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
		all.Summary[name] = f.of(name)
	}
	for _, r := range ratios {
		if value := f.ratio(r.of, r.to); !math.IsNaN(value) {
			all.Ratios[r.of+"/"+r.to] = value
		}
	}
	return json.Marshal(all)
}

func (r *report) json() []byte {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err) // only for types that JSON does not support
	}
	return append(text, '\n')
}

// benchmarks returns all samples in Go's benchmark format: benchstat compares runs, and with -col /server servers.
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

// table prints the report for people.
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
			fmt.Fprint(w, "\t", f.of(c))
		}
		for _, q := range ratios {
			fmt.Fprint(w, "\t", short(f.ratio(q.of, q.to)))
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

// samples says what the figures are.
func (r *report) samples() string {
	if r.Rounds == 1 {
		return "one round"
	}
	return fmt.Sprintf("medians of %d rounds", r.Rounds)
}

// String omits the extremes if there are none.
func (s spread) String() string {
	if s.Min < s.Max {
		return fmt.Sprintf("%s (%s-%s)", short(s.Median), short(s.Min), short(s.Max))
	}
	return short(s.Median)
}

// short formats a number with about three digits.
func short(x float64) string {
	digits := 2
	for y := x; y >= 10 && digits > 0; y /= 10 {
		digits--
	}
	return strings.Replace(strconv.FormatFloat(x, 'f', digits, 64), "NaN", "-", 1)
}

// machine describes where figures were measured; they mean nothing without it.
type machine struct {
	CPU     string    `json:"cpu"`
	Cores   int       `json:"cores"`
	Kernel  string    `json:"kernel"`
	Go      string    `json:"go"`
	GCC     string    `json:"gcc"`
	User    string    `json:"user"` // "root" or "ordinary user"
	Date    time.Time `json:"date"`
	LoadAvg string    `json:"load_average"` // over 1, 5 and 15 minutes, before the first load
}

func thisMachine() machine {
	user := "ordinary user"
	if os.Geteuid() == 0 {
		user = "root"
	}
	says := func(program, arg string) string {
		out, _ := exec.Command(program, arg).Output()
		return strings.TrimSpace(string(out))
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(load))
	return machine{CPU: cpuModel(), Cores: runtime.NumCPU(), Kernel: says("uname", "-srm"), Go: runtime.Version(),
		GCC: says("gcc", "-dumpfullversion"), User: user, Date: time.Now().UTC().Truncate(time.Second),
		LoadAvg: strings.Join(fields[:min(3, len(fields))], " ")}
}

// String returns one line.
func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s, go %s, gcc %s, as %s", m.CPU, m.Cores, m.Kernel,
		strings.TrimPrefix(m.Go, "go"), m.GCC, m.User)
}

// cpuModel looks for the keys that architectures use in /proc/cpuinfo.
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
