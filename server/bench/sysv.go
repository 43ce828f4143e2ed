package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	lab "daemonlab/lab/sysv"
)

// systemV is the System V server. It stays in the foreground, and prints a line when it is ready.
var systemV = contestant{sysv, func(b *bench, _ int) []string {
	const start = `rm -f "$4"; "$1" --root "$2" --key "$3" >"$4" & echo $! >"$5"
		until [ -s "$4" ]; do kill -0 $! || exit 1; sleep 0.01; done`
	return []string{"/bin/sh", "-c", start, "sh", b.path("svfiled"), b.path("files"), b.key.String(), b.path("serves"), b.path("pid")}
}}

// sysv times the System V server with its own client: its protocol is different, so the clients of the other loads do
// not fit. A request is a run of the client; its time includes the start of a process.
func (b *bench) sysv(ctx context.Context) error {
	if reason := b.noSysV(); reason != "" {
		b.report.note("No column for the System V server: " + reason + ".")
		return nil
	}
	b.report.note("System V: with its own client, a process for each request, whose start is in the times.")
	return inTurn(ctx, 0, []contestant{systemV}, func(c contestant) error {
		return b.with(c, 1, func(*server) error {
			for _, l := range loads(b.quick) {
				if l.clients > 1 || l.place != (place{}) {
					continue
				}
				if err := b.sysvLoad(ctx, l); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (b *bench) noSysV() string {
	for _, name := range []string{"svfiled", "svfile"} {
		if _, err := os.Stat(b.path(name)); errors.Is(err, os.ErrNotExist) {
			return "its programs in lab/sysv do not build"
		}
	}
	if _, err := lab.Queues(); errors.Is(err, unix.ENOSYS) {
		return "this kernel has no System V queues"
	}
	return ""
}

// sysvLoad runs the client once per request of the load, up to a limit.
func (b *bench) sysvLoad(ctx context.Context, l load) error {
	const enough = 100
	var times []float64
	o := outcome{requests: min(l.requests, enough)}
	for range o.requests {
		took, err := b.finish(ctx, nil, b.path("svfile"), "--key", b.key.String(), strconv.Itoa(l.bytes))
		if err != nil {
			return err
		}
		times = append(times, took.Seconds())
		o.took += took.Seconds()
		o.bytes += l.bytes
	}
	slices.Sort(times)
	o.p50, o.p99 = times[len(times)/2]*1e6, times[len(times)*99/100]*1e6
	for _, r := range l.readings {
		if r.unit != "ms" && r.unit != "s" { // the CPU time of its children is unknown
			b.report.add(r.figure(l), sysv, r.of(o))
		}
	}
	return nil
}
