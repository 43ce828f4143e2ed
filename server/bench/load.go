package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"daemonlab/lab/mq"
)

// load is work for a server: clients that each fetch a file so many times.
type load struct {
	clients, requests int // requests of each client
	bytes             int // of the file
	shape             shape
}

func (l load) total() int { return l.clients * l.requests }

// outcome of a load.
type outcome struct {
	took     float64 // wall time, seconds
	requests int
	bytes    int
	p50, p99 float64 // of the time of a request, microseconds
	cpu      float64 // of the server, seconds
	start    float64 // of the server, seconds
}

func (o outcome) perSecond() float64   { return float64(o.requests) / o.took }
func (o outcome) gigabytes() float64   { return float64(o.bytes) / 1e9 }
func (o outcome) cpuPer1000() float64  { return o.cpu / float64(o.requests) * 1e6 } // milliseconds
func (o outcome) gbPerSecond() float64 { return o.gigabytes() / o.took }
func (o outcome) cpuPerGB() float64    { return o.cpu / o.gigabytes() }

// parseOutcome reads the line that load.c prints.
func parseOutcome(line string) (o outcome, err error) {
	fields := strings.Fields(line)
	if len(fields) != 5 {
		return o, fmt.Errorf("load printed %q, not five numbers", line)
	}
	for i, value := range []*float64{0: &o.took, 3: &o.p50, 4: &o.p99} {
		if value == nil {
			continue
		}
		if *value, err = strconv.ParseFloat(fields[i], 64); err != nil {
			return o, fmt.Errorf("load printed %q: %w", line, err)
		}
	}
	if o.requests, err = strconv.Atoi(fields[1]); err == nil {
		o.bytes, err = strconv.Atoi(fields[2])
	}
	if err == nil && !(o.took > 0) {
		err = fmt.Errorf("no time went by")
	}
	if err != nil {
		return o, fmt.Errorf("load printed %q: %w", line, err)
	}
	return o, nil
}

// run puts the load on a new server of the contestant, after a tenth of it that does not count. The raw limit needs no
// such practice, and would keep the queues of the first clients open, which count against the limit of bytes.
func (b *bench) run(ctx context.Context, c contestant, l load) (o outcome, err error) {
	s, err := b.start(c, l.threads(b.report.Machine.Cores))
	if err != nil {
		return o, fmt.Errorf("%s: %w", c.name, err)
	}
	defer func() {
		if endErr := s.end(); err == nil {
			err = endErr
		}
	}()
	if c.name != raw {
		warm := l
		warm.requests = max(1, l.requests/10)
		if _, err := b.put(ctx, warm); err != nil {
			return o, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	before, err := s.cpu()
	if err != nil {
		return o, err
	}
	if o, err = b.put(ctx, l); err != nil {
		return o, fmt.Errorf("%s: %w", c.name, err)
	}
	after, err := s.cpu()
	o.cpu, o.start = after-before, s.start
	return o, err
}

// threads is how many threads the raw limit is given: a large file keeps one busy, a small one none for long.
func (l load) threads(cores int) int {
	if l.bytes > 1<<20 {
		return l.clients
	}
	return min(l.clients, cores)
}

// put puts a load on the server that runs, and checks that all of it came.
func (b *bench) put(ctx context.Context, l load) (outcome, error) {
	defer unlinkAll(b.prefix, l.clients)
	out, err := finished(ctx, b.path("load"), b.queue, b.prefix, strconv.Itoa(l.bytes), strconv.Itoa(l.clients),
		strconv.Itoa(l.requests), strconv.Itoa(l.shape.depth), strconv.Itoa(l.shape.size))
	if err != nil {
		return outcome{}, err
	}
	o, err := parseOutcome(out)
	if err == nil && o.bytes != l.total()*l.bytes {
		err = fmt.Errorf("%d bytes came of %d", o.bytes, l.total()*l.bytes)
	}
	return o, err
}

// unlinkAll removes the reply queues of clients that were killed. Usually there are none.
func unlinkAll(prefix string, clients int) {
	for i := range clients {
		mq.Unlink(prefix + strconv.Itoa(i))
	}
}
