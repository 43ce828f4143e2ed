package main

import (
	"errors"
	"flag"
	"fmt"

	"daemonlab/lab/tool"
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
	json, svg, benchmarks string // files; empty: none
	work                  string // directory with the programs, for everything that is made; removed at the end
	quick                 bool
	rounds                int
}

func parseFlags(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.json, "json", "", "")
	f.StringVar(&o.svg, "svg", "", "")
	f.StringVar(&o.benchmarks, "benchmarks", "", "")
	f.BoolVar(&o.quick, "quick", false, "")
	f.IntVar(&o.rounds, "rounds", 0, "")
	f.StringVar(&o.work, "work", "", "") // from the script, which has built the programs there
	err := tool.Parse(f, args, usage, func() error {
		switch {
		case f.NArg() > 0:
			return fmt.Errorf("unexpected argument %q", f.Arg(0))
		case o.work == "":
			return errors.New("no programs: start it with scripts/bench")
		case o.rounds < 0:
			return errors.New("--rounds is negative")
		}
		return nil
	})
	if o.rounds == 0 {
		o.rounds = 5
		if o.quick {
			o.rounds = 1
		}
	}
	return o, err
}
