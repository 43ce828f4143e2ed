package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseOutcome(t *testing.T) {
	got, err := parseOutcome("0.250000 1000 1000000 51.5 230.0\n")
	want := outcome{took: 0.25, requests: 1000, bytes: 1000000, p50: 51.5, p99: 230}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
	if got.perSecond() != 4000 || got.gbPerSecond() != 0.004 {
		t.Errorf("%v requests/s, %v GB/s; want 4000, 0.004", got.perSecond(), got.gbPerSecond())
	}
	got.cpu = 0.5
	if got.cpuPer1000() != 500 || got.cpuPerGB() != 500 {
		t.Errorf("%v ms for 1,000 requests, %v s for a GB; want 500, 500", got.cpuPer1000(), got.cpuPerGB())
	}
}

func TestParseOutcomeRefuses(t *testing.T) {
	for _, line := range []string{"", "0.25 1000 1000000 51.5", "x 1000 1000000 51.5 230", "0.25 1e3 1000000 51.5 230",
		"0.25 1000 -x 51.5 230", "0 1000 1000000 51.5 230", "0.25 1000 1000000 51.5 230 7"} {
		if o, err := parseOutcome(line); err == nil {
			t.Errorf("%q is taken for %+v", line, o)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		samples []float64
		want    float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.samples); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.samples, got, c.want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v", got)
	}
}

func TestRatioIsOfMedians(t *testing.T) {
	f := figure{Samples: map[string][]float64{ours: {1, 8, 30}, inC: {4, 2, 100}, raw: {0}}}
	if got, ok := f.ratio(ours, inC); !ok || got != 2 {
		t.Errorf("ratio %v, %v; want 2", got, ok)
	}
	for _, to := range []string{raw, sysv} {
		if got, ok := f.ratio(ours, to); ok {
			t.Errorf("ratio %v to %s, which has no positive median", got, to)
		}
	}
}

// sample is a report of everything, with samples that spread.
func sample() *report {
	r := &report{Machine: machine{CPU: `a "CPU" <at> 2 & 3 GHz`, Cores: 2}, Rounds: 2}
	for i, c := range []string{ours, inC, raw} {
		for _, factor := range []float64{1, 1.3} {
			value := factor * float64(i+1)
			r.figure("1 file", "us", "lower").add(c, value)
			for _, l := range sweepClients(false) {
				r.latency(l.clients, "p50").add(c, value*float64(l.clients)*20)
				r.latency(l.clients, "p99").add(c, value*float64(l.clients)*70)
			}
			for _, l := range sweepShapes(false) {
				r.throughput(l.shape).add(c, value*float64(l.shape.size*l.shape.depth)/1e5)
			}
		}
	}
	return r
}

func wellFormed(t *testing.T, document []byte) (texts string, elements map[string]int) {
	t.Helper()
	elements = map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(string(document))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts, elements
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements[token.Name.Local]++
		case xml.CharData:
			texts += string(token)
		}
	}
}

func TestSVGIsWellFormedAndComplete(t *testing.T) {
	document := sample().svg()
	texts, elements := wellFormed(t, document)
	for _, want := range []string{`a "CPU" <at> 2 & 3 GHz`, "Latency of 1,000 bytes, p99", "10 messages deep", "8192"} {
		if !strings.Contains(texts, want) {
			t.Errorf("no text %q", want)
		}
	}
	points := 2*len(sweepClients(false)) + len(sweepShapes(false))
	if got, want := elements["circle"], points+1; got != want { // one in the legend
		t.Errorf("%d marks of ours, want %d", got, want)
	}
	for _, bad := range []string{"NaN", "Inf"} {
		if strings.Contains(string(document), bad) {
			t.Errorf("a coordinate is %s", bad)
		}
	}
}

func TestSVGOfNothing(t *testing.T) {
	wellFormed(t, (&report{}).svg())
}

func TestJSONHasSamplesMediansAndRatios(t *testing.T) {
	var got struct {
		Machine struct{ CPU string }
		Figures []struct {
			Name    string
			Samples map[string][]float64
			Summary map[string]spread
			Ratios  map[string]float64
		}
		Latency []struct {
			Clients int
			Summary map[string]spread
		} `json:"latency_by_clients"`
	}
	r := sample()
	if err := json.Unmarshal(r.json(), &got); err != nil {
		t.Fatal(err)
	}
	f := got.Figures[0]
	if got.Machine.CPU != r.Machine.CPU || f.Samples[ours][1] != 1.3 || f.Summary[inC].Max != 2.6 || f.Ratios["ours/C"] != 0.5 {
		t.Errorf("got %+v", got)
	}
	if p := got.Latency[0]; p.Clients != 1 || p.Summary[ours].Min != 20 {
		t.Errorf("got %+v", p)
	}
}

func TestBenchmarks(t *testing.T) {
	got := string(sample().benchmarks())
	for _, want := range []string{"Unit GB/s better=higher\n", "BenchmarkServer/1-file/server=C 1 2.6 us\n",
		"BenchmarkServer/p99/clients=4/server=ours 1 280 us\n", "BenchmarkServer/throughput/depth=2/size=256/server=raw 1 "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := sample().table(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"medians of 2 rounds", "1.15 (1.00-1.30)", "0.50"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		least, greatest float64
		want            string
	}{{1, 1, "[1 2]"}, {3, 40, "[2 5 10 20 50]"}, {0.07, 0.4, "[0.05 0.1 0.2 0.5]"}, {200, 700, "[200 500 1e+03]"}} {
		if got := fmt.Sprintf("%.3g", ticks(c.least, c.greatest)); got != c.want {
			t.Errorf("from %v to %v: %s, want %s", c.least, c.greatest, got, c.want)
		}
	}
}

// The clock has to count threads that have ended, to the nanosecond, as getrusage(2) does in microseconds.
func TestCPUClockCountsEndedThreads(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // ends the thread with the goroutine
		for x, i := 1.0, 0; i < 20_000_000; i++ {
			x *= 1.0000001
		}
	}()
	<-done
	before := rusage(t)
	got, err := cpuOf(os.Getpid())
	if after := rusage(t); err != nil || got < before-0.01 || got > after+0.01 {
		t.Errorf("%v s, %v; getrusage has %v to %v", got, err, before, after)
	}
}

func rusage(t *testing.T) float64 {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func TestTheLoadsFitTheDefaultLimit(t *testing.T) {
	const limit = 819200
	for _, quick := range []bool{true, false} {
		loads := append(sweepClients(quick), sweepShapes(quick)...)
		for _, w := range works(quick) {
			loads = append(loads, w.load)
		}
		for _, l := range append(loads, load{clients: slowTransfers, shape: slowShape}) {
			if need := requestQueue.cost() + uint64(l.clients)*l.shape.cost(); need > limit {
				t.Errorf("%+v needs %d bytes", l, need)
			}
		}
	}
}

func TestWithoutRoomTheErrorSaysWhatToDo(t *testing.T) {
	exit := exec.Command("/bin/sh", "-c", "exit 3").Run()
	err := explain("load", exit, "mq_open /x: Too many open files\n")
	for _, want := range []string{"mq_open /x", "RLIMIT_MSGQUEUE", "other processes of user"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %q", want, err)
		}
	}
}
