// Soak runs a server for minutes under good and hostile clients, with signals and restarts, and checks every byte.
//
// Actors act at random, each with its own source derived from the seed: a run is reproducible as far as the scheduler
// allows. A request is lost if it gets no answer, or a wrong one, without excuse. Excused are requests cut off by
// SIGKILL, and those sent to a queue that had lost its name. Being slow is not wrong: an answer is missing once many
// others have come instead, or none for too long. Now and then all actors pause, and the server is measured: its
// descriptors, threads and memory must be back where they were.
//
// If a server ends by itself the run ends too, and prints what its log says about it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/tool"
)

const usage = `usage: scripts/soak [--seed N] [--race] [--starved[=PERCENT]] [MINUTES]

Runs the server for some minutes (default 1) under good and hostile clients,
with SIGHUP, SIGTERM, SIGKILL and restarts, and checks the answer to every
request. Prints what was done, what was lost, and how the daemon's descriptors,
threads and memory grew from one idle moment (calm) to the next.

  --seed N   seed of the random numbers, to repeat a run (default: a new one)
  --race     build server and client with the race detector; any report is a
             failure; needs a C compiler
  --starved[=PERCENT]
             leave the server PERCENT (1 to 100, default 3) of one processor, in
             a control group; its clients have the rest; needs root

Runs as root (the server then as nobody) and as an ordinary user. Exit status:
0 nothing lost, nothing grown, no race; 1 otherwise; 2 it could not run.
`

type options struct {
	seed    uint64
	time    time.Duration
	race    bool
	starved float64 // percent of one processor for the server, 0 for no limit
	work    string  // directory with the programs; removed at the end
}

func parseFlags(args []string) (o options, err error) {
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "")
	f.BoolVar(&o.race, "race", false, "")
	f.BoolFunc("starved", "", func(value string) (err error) {
		o.starved = 3
		if value != "true" { // the flag without a value
			o.starved, err = strconv.ParseFloat(value, 64)
		}
		if !(o.starved >= 1 && o.starved <= 100) {
			err = errors.New("must be a percentage from 1 to 100")
		}
		return err
	})
	f.StringVar(&o.work, "work", "", "") // set by the script, which has built the programs there
	err = tool.Parse(f, args, usage, func() error {
		minutes, err := strconv.ParseFloat(cmp.Or(f.Arg(0), "1"), 64)
		switch {
		case err != nil, f.NArg() > 1, !(minutes > 0 && minutes <= 1e6):
			return fmt.Errorf("%q: must be one number of minutes", f.Args())
		case o.work == "":
			return errors.New("no programs: start it with scripts/soak")
		}
		o.time = time.Duration(minutes * float64(time.Minute))
		return nil
	})
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
	s, err := soak(ctx, o)
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "soak: interrupted")
		return 130
	}
	fine := s != nil && s.report()
	if err != nil {
		fmt.Fprintf(os.Stderr, "soak: %v\n", err)
	}
	switch {
	case err != nil && (s == nil || len(s.losses)+s.races == 0):
		return 2
	case !fine:
		return 1
	}
	return 0
}

// soak runs everything that starts processes or makes queues, and leaves none. The session is nil if it could not
// start.
func soak(ctx context.Context, o options) (*session, error) {
	s := &session{options: o}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.clear())
	}
	fmt.Printf("seed %d, %v\n", o.seed, o.time)
	err := s.run(ctx)
	return s, errors.Join(err, s.clear())
}
