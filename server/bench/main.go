// Bench compares the servers: this project's, the lab's C solution, the System V server that the lab starts from, and
// the raw limit, loops of mq_send and mq_receive without a file. See usage.
//
// All get the same loads from the same C clients, in turns, round by round, so that other activity on the machine hits
// all alike. A fresh server is started for every load and warmed up by it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	lab "daemonlab/lab/sysv"
	"daemonlab/lab/tool"
	"daemonlab/specs/harness"
)

const usage = `usage: scripts/bench [--quick] [--rounds N] [--json FILE] [--svg FILE]
                     [--benchmarks FILE]

Builds the server, the C solution and, when it is there, the System V server,
runs the same loads against them in turn, and prints medians, minima, maxima
and ratios. Needs gcc and make. Runs as root (the servers then
as nobody) and as an ordinary user.

  --json FILE   write all samples, medians and ratios
  --svg FILE    write a plot: latency against clients, throughput against
                message size and depth
  --benchmarks FILE
                write all samples in Go's benchmark format: benchstat A B
                compares two runs, benchstat -col /server A the servers
  --quick       every load, but short, and one round: some 20 seconds
  --rounds N    rounds (default 5, with --quick 1); medians are over the rounds

While it runs, it needs nearly all of RLIMIT_MSGQUEUE (819200 bytes of message
queues for a user): no other server or client of the same user may run.
`

type options struct {
	json, svg, benchmarks string // files; empty for none
	work                  string // directory of the programs and of all files made; removed at the end
	quick                 bool
	rounds                int
}

func parseFlags(args []string) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.json, "json", "", "")
	f.StringVar(&o.svg, "svg", "", "")
	f.StringVar(&o.benchmarks, "benchmarks", "", "")
	f.BoolVar(&o.quick, "quick", false, "")
	f.IntVar(&o.rounds, "rounds", 0, "")
	f.StringVar(&o.work, "work", "", "") // set by the script, which has built the programs there
	err = tool.Parse(f, args, usage, func() error {
		switch {
		case f.NArg() > 0:
			return fmt.Errorf("unexpected argument %q", f.Arg(0))
		case o.work == "":
			return errors.New("no programs: start it with scripts/bench")
		case o.rounds < 0:
			return errors.New("--rounds must not be negative")
		}
		return nil
	})
	rounds := 5
	if o.quick {
		rounds = 1
	}
	o.rounds = cmp.Or(o.rounds, rounds)
	return o, err
}

func main() { os.Exit(run(os.Args[1:])) }

// run returns the exit status; it is 130 after an interrupt, as in shells.
func run(args []string) int {
	o, err := parseFlags(args)
	defer os.RemoveAll(o.work)
	if err != nil {
		return tool.UsageStatus(err)
	}
	// SIGPIPE is included so that nothing is left behind when the reader of the output goes away.
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

// measure runs everything that starts processes, and leaves none.
func measure(ctx context.Context, o options) (*report, error) {
	if err := harness.AdoptOrphans(); err != nil {
		return nil, err
	}
	b := newBench(o)
	err := b.prepare()
	for round := 0; round < o.rounds && err == nil; round++ {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, o.rounds)
		err = b.round(ctx, round)
	}
	// First kill what a failure or an interrupt has left, so that nobody makes another queue.
	err = errors.Join(err, harness.KillAdopted())
	mq.Unlink(b.queue)
	b.unlinkReplies()
	if q, none := lab.Get(b.key, 0, 0); none == nil {
		err = errors.Join(err, q.Remove())
	}
	return b.report, err
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
