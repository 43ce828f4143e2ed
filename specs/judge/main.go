// Command judge runs the specs against a server and a client and says which rows of the contract they meet.
//
// Each row is judged by a process of its own, several in parallel. What a program does to its judging process, or
// leaves behind, cannot affect another row; and a row that does not end is ended, with everything it started.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

// Exit statuses.
const (
	exitPassed = 0
	exitFailed = 1
	exitError  = 2 // the suite could not run, or bad usage
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "specs: %v\n", err)
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	o, err := parseFlags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitPassed, err
	case err != nil:
		return exitError, err
	}
	rows, err := o.choose(rubric.Standard())
	if err != nil {
		return exitError, err
	}
	if o.list {
		list(rows, o.lang)
		return exitPassed, nil
	}
	// This process adopts what a program leaves when its judging process has ended.
	if err := harness.AdoptOrphans(); err != nil {
		return exitError, err
	}
	ctx, cancel := context.Background(), func() {}
	if o.stream { // a reader of the stream uses SIGKILL; any other signal comes from a program under test
		harness.WithstandSignals()
	} else {
		ctx, cancel = signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	}
	defer cancel()
	if o.watch {
		return watch(ctx, o, rows)
	}
	p := func(result) {}
	if o.stream {
		p = stream()
	} else {
		tellOfQueues(o.lang)
	}
	results, err := judgeInTurn(ctx, o, rows, p)
	if ctx.Err() != nil {
		return exitError, errors.New(finding.Say("interrupted before everything was judged").In(o.lang))
	}
	if err != nil {
		return exitError, err
	}
	report := newReport(results)
	if o.json != "" {
		if err := report.write(o.json); err != nil {
			return exitError, err
		}
	}
	if !o.stream {
		report.print(o)
	}
	return report.exitStatus(), nil
}

// judgeInTurn judges the rows; with --next step by step, until one fails for a fault of its own.
func judgeInTurn(ctx context.Context, o options, rows []rubric.Row, p progress) (results []result, err error) {
	groups := [][]rubric.Row{rows}
	if o.next {
		groups = bySteps(rows)
	}
	for _, group := range groups {
		more, err := judge(ctx, o, group, p)
		results = append(results, more...)
		if err != nil || slices.ContainsFunc(more, result.isToMend) {
			return results, err
		}
	}
	return results, nil
}

// bySteps are the rows of each step, which come in order.
func bySteps(rows []rubric.Row) (groups [][]rubric.Row) {
	for i, row := range rows {
		if i == 0 || row.Step != rows[i-1].Step {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], row)
	}
	return groups
}

// stream reports each row on stdout, for a reader that may have to kill the judge before it is done. Only this process
// has that stdout: the programs under test and the suite have others.
func stream() progress {
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	return func(r result) {
		mu.Lock()
		defer mu.Unlock()
		out.Encode(r) // the reader may be gone
	}
}
