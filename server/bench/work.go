package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
)

// Shapes of reply queues: the deepest that the limits allow, and what leaves room for 6 and 64 clients of one user.
var (
	deep   = shape{10, 8192}
	middle = shape{4, 8192}
	flat   = shape{3, 2048}
)

// work is a load with the figures that are taken from its outcome.
type work struct {
	load
	figures []reading
}

// reading takes one figure from an outcome.
type reading struct {
	name, unit, better string
	of                 func(outcome) float64
}

const (
	small      = 1000    // bytes
	large      = 1 << 28 // bytes
	quickLarge = 1 << 26
	quickPart  = 10 // the part of all requests that --quick makes
)

// works lists what the table shows of loads.
func works(quick bool) []work {
	size, times, part := large, 4, 1
	if quick {
		size, times, part = quickLarge, 2, quickPart
	}
	one := load{1, 8000 / part, small, deep}
	six := load{6, 4000 / part, small, middle}
	many := load{64, 500 / part, small, flat}
	stream := load{1, times, size, deep}
	streams := load{8, 1, size, deep}
	file := fmt.Sprintf("%d MiB", size>>20)
	return []work{
		{one, []reading{
			{"1,000 bytes, 1 client, p50", "us", "lower", func(o outcome) float64 { return o.p50 }},
			{"1,000 bytes, 1 client, p99", "us", "lower", func(o outcome) float64 { return o.p99 }},
			cpuFor1000("1,000 bytes, 1 client")}},
		{six, []reading{rate("1,000 bytes, 6 clients"), cpuFor1000("1,000 bytes, 6 clients")}},
		{many, []reading{rate("1,000 bytes, 64 clients"), cpuFor1000("1,000 bytes, 64 clients")}},
		{stream, []reading{speed(file + ", 1 client"), cpuForGB(file + ", 1 client")}},
		{streams, []reading{speed(file + ", 8 clients"), cpuForGB(file + ", 8 clients")}},
	}
}

func rate(what string) reading {
	return reading{what, "requests/s", "higher", outcome.perSecond}
}

func speed(what string) reading {
	return reading{what, "GB/s", "higher", outcome.gbPerSecond}
}

func cpuFor1000(what string) reading {
	return reading{what + ", server's CPU per 1,000 requests", "ms", "lower", outcome.cpuPer1000}
}

func cpuForGB(what string) reading {
	return reading{what + ", server's CPU per GB", "s", "lower", outcome.cpuPerGB}
}

// sweepClients and sweepShapes are what the plot shows.
func sweepClients(quick bool) []load {
	counts, total := []int{1, 2, 4, 8, 16, 32, 64}, 6400
	if quick {
		counts, total = []int{1, 4, 16, 64}, 1280
	}
	var loads []load
	for _, n := range counts {
		loads = append(loads, load{n, total / n, small, flat})
	}
	return loads
}

func sweepShapes(quick bool) []load {
	sizes, size := []int{256, 512, 1024, 2048, 4096, 8192}, 1<<25
	if quick {
		sizes, size = []int{512, 2048, 8192}, 1<<23
	}
	var loads []load
	for _, depth := range []int{2, 4, 10} {
		for _, n := range sizes {
			// Small messages are slow: a part of the file shows it.
			loads = append(loads, load{1, 1, max(size/4, size*n/8192), shape{depth, n}})
		}
	}
	return loads
}

// bench is one run of everything.
type bench struct {
	work   string // directory
	queue  string // the servers' request queue
	prefix string // of the clients' reply queues
	quick  bool
	report *report
}

// newBench compiles and makes what the loads need. It returns a bench, with what there is to clear, on failure as well.
func newBench(ctx context.Context, o options) (*bench, error) {
	name := fmt.Sprintf("/bench-%d", os.Getpid())
	b := &bench{work: o.work, queue: name, prefix: name + "-", quick: o.quick, report: newReport(o)}
	if err := compileHelpers(ctx, b.work); err != nil {
		return b, err
	}
	if err := checkRoom(b.prefix); err != nil {
		return b, err
	}
	// The servers of root serve as nobody.
	if err := os.Chmod(b.work, 0o755); err != nil {
		return b, err
	}
	return b, b.makeFiles()
}

// makeFiles makes a file of each size that a load wants. Its name is its size, which is all that the raw limit has.
func (b *bench) makeFiles() error {
	if err := os.Mkdir(b.path("files"), 0o755); err != nil {
		return err
	}
	loads := append(sweepClients(b.quick), sweepShapes(b.quick)...)
	for _, w := range works(b.quick) {
		loads = append(loads, w.load)
	}
	sizes := map[int]bool{slowBytes: true}
	for _, l := range loads {
		sizes[l.bytes] = true
	}
	for size := range sizes {
		if err := makeFile(b.path("files/"+strconv.Itoa(size)), int64(size)); err != nil {
			return err
		}
	}
	return nil
}

func makeFile(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{}), size)
	return err
}
