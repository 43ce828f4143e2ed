package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/tool"
	"daemonlab/specs/harness"
)

func main() { os.Exit(run(os.Args[1:])) }

// run returns the exit status: 130 as shells have it when the user interrupts.
func run(args []string) int {
	o, err := parseFlags(args)
	defer os.RemoveAll(o.work)
	if err != nil {
		return tool.UsageStatus(err)
	}
	// SIGPIPE is among them so that nothing is left behind when the reader of the output goes.
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGPIPE)
	defer stop()
	report, err := measure(ctx, o)
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		return 130
	}
	if err == nil {
		err = publish(report, o)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

// measure does everything that starts processes, and leaves none.
func measure(ctx context.Context, o options) (r *report, err error) {
	if err := harness.AdoptOrphans(); err != nil {
		return nil, err
	}
	b, err := newBench(ctx, o)
	defer func() { err = errors.Join(err, b.clear()) }()
	if err != nil {
		return nil, err
	}
	if err := b.rounds(ctx, o.rounds); err != nil {
		return nil, err
	}
	return b.report, nil
}

// clear ends what a failure or an interruption has left, and removes its queues: last, so that nobody makes another.
func (b *bench) clear() error {
	err := harness.KillAdopted()
	mq.Unlink(b.queue)
	unlinkAll(b.prefix, slowTransfers)
	return err
}

func publish(r *report, o options) error {
	for _, output := range []struct {
		file    string
		content func() []byte
	}{{o.json, r.json}, {o.svg, r.svg}, {o.benchmarks, r.benchmarks}} {
		if output.file != "" {
			if err := tool.WriteFile(output.file, output.content(), false); err != nil {
				return err
			}
		}
	}
	return r.table(os.Stdout)
}
