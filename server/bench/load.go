package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// load is work for a server: a number of clients that each fetch a file a number of times.
type load struct {
	what string // in the table
	place
	clients, requests int // requests per client
	bytes             int // of the file
	shape             shape
	readings          []reading
}

// reading extracts one figure from an outcome.
type reading struct {
	name, unit, better string // name follows the load's
	of                 func(outcome) float64
}

var (
	p50        = reading{"p50", "us", "lower", func(o outcome) float64 { return o.p50 }}
	p99        = reading{"p99", "us", "lower", func(o outcome) float64 { return o.p99 }}
	rate       = reading{"", "requests/s", "higher", func(o outcome) float64 { return float64(o.requests) / o.took }}
	speed      = reading{"", "GB/s", "higher", func(o outcome) float64 { return o.gigabytes() / o.took }}
	cpuPer1000 = reading{"server's CPU per 1,000 requests", "ms", "lower",
		func(o outcome) float64 { return o.cpu / float64(o.requests) * 1e6 }}
	cpuPerGB = reading{"server's CPU per GB", "s", "lower", func(o outcome) float64 { return o.cpu / o.gigabytes() }}
)

// figure returns the key of a load's reading.
func (r reading) figure(l load) key {
	return key{l.place, strings.Trim(l.what+", "+r.name, ", "), r.unit, r.better}
}

// Shapes of reply queues: the deepest allowed, and two that leave room for 6 and 64 clients of one user.
var (
	deep   = shape{10, 8192}
	middle = shape{4, 8192}
	flat   = shape{3, 2048}
)

const small = 1000 // bytes

// loads returns the loads of the table, then those of the plot.
func loads(quick bool) []load {
	file, times, part := 1<<28, 4, 1
	clients, total := []int{1, 2, 4, 8, 16, 32, 64}, 6400
	sizes, size := []int{256, 512, 1024, 2048, 4096, 8192}, 1<<25
	if quick {
		file, times, part = 1<<26, 2, 10
		clients, total = []int{1, 4, 16, 64}, 1280
		sizes, size = []int{512, 2048, 8192}, 1<<23
	}
	stream, none := fmt.Sprintf("%d MiB", file>>20), place{}
	all := []load{
		{"1,000 bytes, 1 client", none, 1, 8000 / part, small, deep, []reading{p50, p99, cpuPer1000}},
		{"1,000 bytes, 6 clients", none, 6, 4000 / part, small, middle, []reading{rate, cpuPer1000}},
		{"1,000 bytes, 64 clients", none, 64, 500 / part, small, flat, []reading{rate, cpuPer1000}},
		{stream + ", 1 client", none, 1, times, file, deep, []reading{speed, cpuPerGB}},
		{stream + ", 8 clients", none, 8, 1, file, deep, []reading{speed, cpuPerGB}},
	}
	for _, n := range clients {
		all = append(all, load{"", place{Clients: n}, n, total / n, small, flat, []reading{p50, p99}})
	}
	for _, depth := range []int{2, 4, 10} {
		for _, n := range sizes {
			bytes := max(size/4, size*n/8192) // small messages are slow: part of the file suffices
			all = append(all, load{"throughput", place{Depth: depth, Size: n}, 1, 1, bytes, shape{depth, n}, []reading{speed}})
		}
	}
	return all
}

// outcome is the result of a load.
type outcome struct {
	took     float64 // wall time, seconds
	requests int
	bytes    int
	p50, p99 float64 // of the requests' times, microseconds
	cpu      float64 // of the server, seconds
}

func (o outcome) gigabytes() float64 { return float64(o.bytes) / 1e9 }

// parseOutcome parses the line that load.c prints.
func parseOutcome(line string) (o outcome, err error) {
	_, err = fmt.Sscanf(line, "%g %d %d %g %g\n", &o.took, &o.requests, &o.bytes, &o.p50, &o.p99)
	if err == nil && !(o.took > 0) {
		err = fmt.Errorf("no time went by")
	}
	if err != nil {
		return o, fmt.Errorf("load printed %q: %w", line, err)
	}
	return o, nil
}

// round runs everything once. Contestants take turns for each load.
func (b *bench) round(ctx context.Context, round int) error {
	for _, l := range loads(b.quick) {
		err := inTurn(ctx, round, contestants, func(c contestant) error { return b.run(ctx, c, l) })
		if err != nil {
			return err
		}
	}
	for range 5 { // it is quick
		if err := inTurn(ctx, round, contestants, b.timeStart); err != nil {
			return err
		}
	}
	err := inTurn(ctx, round, contestants, func(c contestant) error { return b.burden(ctx, c) })
	if err != nil {
		return err
	}
	return b.sysv(ctx)
}

// inTurn calls f for all contestants, starting with a different one each round.
func inTurn(ctx context.Context, round int, contestants []contestant, f func(contestant) error) error {
	for i := range contestants {
		if err := ctx.Err(); err != nil {
			return err
		}
		c := contestants[(round+i)%len(contestants)]
		if err := f(c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// run puts a load on a fresh server of the contestant, after a tenth of it as warm-up. The raw limit needs no warm-up;
// after one the queues of the first clients would stay open and use up RLIMIT_MSGQUEUE.
func (b *bench) run(ctx context.Context, c contestant, l load) error {
	threads := min(l.clients, b.report.Machine.Cores)
	if l.bytes > 1<<20 { // keeps a thread busy
		threads = l.clients
	}
	return b.with(c, threads, func(s *server) error {
		if c.name != raw {
			warm := l
			warm.requests = max(1, l.requests/10)
			if _, err := b.put(ctx, warm); err != nil {
				return err
			}
		}
		before, err := cpuOf(s.PID())
		if err != nil {
			return err
		}
		o, err := b.put(ctx, l)
		if err != nil {
			return err
		}
		after, err := cpuOf(s.PID())
		o.cpu = after - before
		for _, r := range l.readings {
			b.report.add(r.figure(l), c.name, r.of(o))
		}
		return err
	})
}

// put puts a load on the running server, and checks that every byte arrived.
func (b *bench) put(ctx context.Context, l load) (outcome, error) {
	defer b.unlinkReplies()
	var out strings.Builder
	_, err := b.finish(ctx, &out, b.path("load"), b.queue, b.queue+"-", strconv.Itoa(l.bytes), strconv.Itoa(l.clients),
		strconv.Itoa(l.requests), strconv.Itoa(l.shape.Depth), strconv.Itoa(l.shape.MsgSize))
	if err != nil {
		return outcome{}, err
	}
	o, err := parseOutcome(out.String())
	if want := l.clients * l.requests * l.bytes; err == nil && o.bytes != want {
		err = fmt.Errorf("%d bytes came of %d", o.bytes, want)
	}
	return o, err
}
