// Command grade builds and judges a class's submissions, each in a cage of its own, and writes what it found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/specs/grade/cage"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/results"
	"daemonlab/specs/grade/shard"
)

// Exit statuses.
const (
	exitGraded      = 0
	exitNotGraded   = 1 // some submissions could not be graded
	exitError       = 2 // nothing could be graded, or it was used wrongly
	exitInterrupted = 130
)

func main() {
	cage.Init()
	status, err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "grade: %v\n", err)
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	o, err := parseFlags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitGraded, nil
	case err != nil:
		return exitError, err
	}
	if do := o.instead(); do != nil {
		if err := do(); err != nil {
			return exitError, err
		}
		return exitGraded, nil
	}
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer cancel()
	g, err := newGrader(o)
	if err != nil {
		return exitError, err
	}
	defer g.close()
	found, err := g.gradeClass(ctx)
	if ctx.Err() != nil {
		return exitInterrupted, fmt.Errorf("interrupted with %d of %d submissions graded: --resume goes on",
			len(found.Submissions), g.total)
	}
	if err != nil {
		return exitError, err
	}
	printTable(os.Stdout, found)
	if count(found.Submissions, class.GraderFailed) > 0 {
		return exitNotGraded, nil
	}
	return exitGraded, nil
}

// gradeClass grades what there is to grade and saves the class, also what there is of it when ctx ends.
func (g *grader) gradeClass(ctx context.Context) (class.Class, error) {
	names, err := g.o.submissions()
	if err != nil {
		return class.Class{}, err
	}
	names = shard.Of(g.o.shard, names)
	g.total = len(names)
	c := class.Class{Kit: g.kit, Machine: machine(), Began: time.Now(), Rubric: g.o.rows}
	c.Submissions, err = g.gradeAll(ctx, names)
	c.Ended = time.Now()
	return c, errors.Join(err, results.Publish(g.o.out, c))
}
