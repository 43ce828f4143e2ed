package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"

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

func parseFlags(args []string) (options, error) {
	o := options{time: time.Minute}
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "")
	f.BoolVar(&o.race, "race", false, "")
	f.BoolFunc("starved", "", func(value string) (err error) {
		o.starved = 3
		if value != "true" { // which stands for no value
			o.starved, err = strconv.ParseFloat(value, 64)
		}
		if !(o.starved >= 1 && o.starved <= 100) {
			err = errors.New("a percentage from 1 to 100 is needed")
		}
		return err
	})
	f.StringVar(&o.work, "work", "", "") // from the script, which has built the programs there
	err := tool.Parse(f, args, usage, func() (err error) {
		if f.NArg() > 0 {
			o.time, err = parseMinutes(f.Args())
		}
		if err == nil && o.work == "" {
			err = errors.New("no programs: start it with scripts/soak")
		}
		return err
	})
	return o, err
}

func parseMinutes(args []string) (time.Duration, error) {
	minutes, err := strconv.ParseFloat(args[0], 64)
	if err != nil || len(args) > 1 || !(minutes > 0 && minutes <= 1e6) {
		return 0, fmt.Errorf("%q: one number of minutes is needed", args)
	}
	return time.Duration(minutes * float64(time.Minute)), nil
}
