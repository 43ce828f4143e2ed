package main

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/harness"
)

func TestParseOutcome(t *testing.T) {
	got, err := parseOutcome("0.250000 1000 1000000 51.5 230.0\n")
	want := outcome{took: 0.25, requests: 1000, bytes: 1000000, p50: 51.5, p99: 230}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
	got.cpu = 0.5
	for r, want := range map[*reading]float64{&rate: 4000, &speed: 0.004, &cpuPer1000: 500, &cpuPerGB: 500, &p50: 51.5, &p99: 230} {
		if got := r.of(got); got != want {
			t.Errorf("%s %v %s, want %v", r.name, got, r.unit, want)
		}
	}
	for _, line := range []string{"", "0.25 1000 1000000 51.5", "x 1000 1000000 51.5 230", "0.25 1e3 1000000 51.5 230",
		"0.25 1000 -x 51.5 230", "0 1000 1000000 51.5 230", "0.25 1000 1000000 51.5 230 7"} {
		if o, err := parseOutcome(line); err == nil {
			t.Errorf("%q was parsed as %+v", line, o)
		}
	}
}

func TestRatioIsOfMedians(t *testing.T) {
	f := figure{Samples: map[string][]float64{ours: {1, 8, 30}, inC: {9, 2, 100, 1}, raw: {0}, "one": {3}}}
	for contestant, want := range map[string]float64{ours: 8, inC: 5.5, raw: 0, "one": 3} {
		if got := f.of(contestant).Median; got != want {
			t.Errorf("median of %v is %v, want %v", f.Samples[contestant], got, want)
		}
	}
	if got := f.ratio(ours, inC); got != 8/5.5 {
		t.Errorf("ratio %v", got)
	}
	for _, to := range []string{raw, sysv} {
		if got := f.ratio(ours, to); !math.IsNaN(got) {
			t.Errorf("ratio %v to %s, which has no positive median", got, to)
		}
	}
}

// sample returns a report with everything plotted and one row of the table, with spread samples.
func sample() *report {
	r := &report{Machine: machine{CPU: `a "CPU" <at> 2 & 3 GHz`, Cores: 2}, Rounds: 2}
	for i, c := range []string{ours, inC, raw} {
		for _, factor := range []float64{1, 1.3} {
			value := factor * float64(i+1)
			r.add(key{Name: "1 file", Unit: "us", Better: "lower"}, c, value)
			for _, l := range loads(false)[5:] {
				for _, reading := range l.readings {
					r.add(reading.figure(l), c, value*float64(l.Clients*20+l.Depth*l.Size))
				}
			}
		}
	}
	return r
}

func TestSVGIsWellFormedAndComplete(t *testing.T) {
	var parsed struct {
		Texts []string `xml:"text"`
	}
	document := string(sample().svg())
	if err := cmp.Or(xml.Unmarshal((&report{}).svg(), &parsed), xml.Unmarshal([]byte(document), &parsed)); err != nil {
		t.Fatalf("not well-formed: %v", err)
	}
	has(t, strings.Join(parsed.Texts, "\n"), `a "CPU" <at> 2 & 3 GHz`, "Latency of 1,000 bytes, p99", "10 messages deep", "8192")
	points := 2*7 + 3*6
	if got, want := strings.Count(document, `fill="`+styles[0].colour), points+1; got != want { // one in the legend
		t.Errorf("%d marks of ours, want %d", got, want)
	}
	if strings.Contains(document, "NaN") || strings.Contains(document, "Inf") || strings.Contains(document, "%!") {
		t.Errorf("a coordinate is not a number:\n%s", document)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, want := range parts {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestJSONHasSamplesMediansAndRatios(t *testing.T) {
	var got struct {
		Machine struct{ CPU string }
		Figures []struct {
			Name    string
			Clients int
			Samples map[string][]float64
			Summary map[string]spread
			Ratios  map[string]float64
		}
	}
	r := sample()
	must(t, json.Unmarshal(r.json(), &got))
	f := got.Figures[0]
	if got.Machine.CPU != r.Machine.CPU || f.Samples[ours][1] != 1.3 || f.Summary[inC].Max != 2.6 || f.Ratios["ours/C"] != 0.5 {
		t.Errorf("got %+v", got)
	}
	if p := got.Figures[1]; p.Name != "p50" || p.Clients != 1 || p.Summary[ours].Min != 20 {
		t.Errorf("got %+v", p)
	}
}

func TestBenchmarks(t *testing.T) {
	has(t, string(sample().benchmarks()), "Unit GB/s better=higher\n", "BenchmarkServer/1-file/server=C 1 2.6 us\n",
		"BenchmarkServer/p99/clients=4/server=ours 1 80 us\n", "BenchmarkServer/throughput/depth=2/size=256/server=raw 1 ")
}

func TestTable(t *testing.T) {
	var b strings.Builder
	r := sample()
	r.add(key{Name: "alone"}, ours, 123.4)
	must(t, r.table(&b))
	has(t, b.String(), "medians of 2 rounds", "1.15 (1.00-1.30)", "0.50", " 123 ", " -\n")
	if strings.Contains(b.String(), "p99") {
		t.Errorf("the table has plotted figures:\n%s", b.String())
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

// The clock must count threads that have ended, in nanoseconds; getrusage(2) counts them in microseconds.
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
	must(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func TestTheLoadsFitTheDefaultLimit(t *testing.T) {
	const limit = 819200
	slow := load{clients: slowTransfers, shape: slowShape}
	for _, l := range append(append(loads(true), loads(false)...), slow) {
		need := mq.Cost(requestQueue.Depth, requestQueue.MsgSize) + uint64(l.clients)*mq.Cost(l.shape.Depth, l.shape.MsgSize)
		if need > limit || l.clients > slowTransfers {
			t.Errorf("%+v needs %d bytes", l, need)
		}
	}
}

func TestWithoutRoomTheErrorSaysWhatToDo(t *testing.T) {
	exit := exec.Command("/bin/sh", "-c", "exit 3").Run()
	err := explain("load", exit, "mq_open /x: Too many open files\n")
	has(t, err.Error(), "mq_open /x", "RLIMIT_MSGQUEUE", "other processes of user")
}

func TestClientsOfAnInterruptedCrowdLeaveNoQueue(t *testing.T) {
	b := newBench(options{work: t.TempDir()})
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", b.path("mqfile"), "daemonlab/client").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := harness.NewFakeServer()
	must(t, err)
	defer f.Close()
	b.queue = f.Queue
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan error, 1)
	go func() {
		_, err := b.crowd(ctx, 1)
		ended <- err
	}()
	c, err := f.Accept(ctx, "1000")
	must(t, err)
	defer c.Close()
	interrupt()
	if err := <-ended; err == nil || harness.QueueExists(c.Request.Reply) {
		t.Errorf("the client ended with %v, its queue is there: %v", err, harness.QueueExists(c.Request.Reply))
	}
}
