// Command grade builds and judges a class's submissions, each in a cage of its own, and writes what it found.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/grade/cage"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/intake"
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
	if err != nil {
		fmt.Fprintf(os.Stderr, "grade: %s\n", finding.Plain(err.Error()))
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	o, err := parseFlags(args)
	if err != nil {
		return tool.UsageStatus(err), nil
	}
	if err := o.cleanPaths(); err != nil {
		return exitError, err
	}
	var c class.Class
	switch {
	case o.alike != nil:
		err = o.compare()
	case o.bundle != "":
		err = o.packBundle()
	case o.rescore != "":
		if c, err = results.Rescore(o.rescore, o.rows); err == nil {
			printTable(c)
		}
	case o.merge:
		if c, err = results.Merge(o.out, o.parts); err == nil {
			printTable(c)
		}
	default:
		return o.grade()
	}
	if err != nil {
		return exitError, err
	}
	return exitGraded, nil
}

func (o options) grade() (status int, err error) {
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer cancel()
	g, err := newGrader(o)
	if err != nil {
		return exitError, err
	}
	defer g.close()
	found, err := g.gradeClass(ctx)
	if ctx.Err() != nil {
		return exitInterrupted, fmt.Errorf("interrupted with %d of %d submissions graded: --resume continues", g.graded,
			g.total)
	}
	if err != nil {
		return exitError, err
	}
	printTable(found)
	if found.Count(class.GraderFailed) > 0 {
		return exitNotGraded, nil
	}
	return exitGraded, nil
}

// gradeClass grades what there is to grade and saves the class, also what there is of it when ctx ends.
func (g *grader) gradeClass(ctx context.Context) (class.Class, error) {
	items, err := intake.Class(g.o.class, g.o.out, g.room("class"))
	if err != nil {
		return class.Class{}, err
	}
	if len(items) == 0 {
		return class.Class{}, fmt.Errorf("there is nothing in %s", g.o.class)
	}
	if g.adjust, err = intake.Adjustments(g.o.class, items); err != nil {
		return class.Class{}, err
	}
	chosen, err := g.o.choose(items)
	if err != nil {
		return class.Class{}, err
	}
	chosen = shard.Of(g.o.shard, chosen)
	g.total = len(chosen)
	c := class.Class{Kit: g.kit, Machine: machine(), Began: time.Now(), Rubric: g.o.rows, Submissions: g.before}
	if err := c.Save(g.o.out); err != nil { // a grader that is killed leaves by what its results were judged
		return c, err
	}
	c.Submissions, err = g.gradeAll(ctx, chosen)
	c.Ended = time.Now()
	if g.graded = len(c.Submissions); len(g.o.only) > 0 {
		others, othersErr := g.others(items, c.Submissions)
		err = errors.Join(err, othersErr)
		c.Submissions = append(c.Submissions, others...)
		slices.SortFunc(c.Submissions, func(a, b class.Submission) int { return cmp.Compare(a.Name, b.Name) })
	}
	return c, errors.Join(err, results.Publish(g.o.out, c))
}

// others are the results of what was not to be graded now: of those that the class has already, since a folder with one
// student's new submission is a class, too, and of items that an interrupted run has graded.
func (g *grader) others(items []intake.Item, graded []class.Submission) (all []class.Submission, err error) {
	var names []class.Name
	for _, item := range items {
		names = append(names, item.Name)
	}
	for _, s := range g.before {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if slices.ContainsFunc(graded, func(s class.Submission) bool { return s.Name == name }) {
			continue
		}
		s, loadErr := class.LoadSubmission(g.o.out, name)
		if loadErr == nil {
			all = append(all, s)
		} else if !errors.Is(loadErr, fs.ErrNotExist) {
			err = errors.Join(err, loadErr)
		}
	}
	return all, err
}
