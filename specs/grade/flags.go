package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"daemonlab/lab/tool"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/intake"
	"daemonlab/specs/grade/results"
	"daemonlab/specs/grade/shard"
	"daemonlab/specs/rubric"
)

const usage = `usage: scripts/grade SUBMISSIONS [flags]

Builds and judges submissions, each in a cage. A submission with a Makefile is built by make, any other by go build.
SUBMISSIONS is a folder or an archive of submissions, each a folder or an archive itself, as exported by Moodle, Canvas,
Gradescope, Google Classroom or Classroom 50. Writes the results to a directory and prints a table; the submissions that
need a look come first, with a command for each.

  --out DIR       where the results go (default: grades)
  --only NAME     grade only this submission, even if it has been graded; may be repeated
  --as COMMAND    build the submission of --only with this shell command instead, and keep the result as a trial, which
                  gives no points
  --jobs N        submissions graded at a time (default: depends on the number of processors)
  --runs K        judge each submission K times; a row counts only if it passes each time
  --timeout S     seconds that building may take, and each run of judging (default 300)
  --rubric FILE   titles, hints and points, in the form of specs/rubric/rubric.json (default: the standard ones; with
                  --resume or --only, those of the earlier results, which must have all rows)
  --resume        continue an earlier run with this --out: grade what it did not reach, what has changed since, and
                  what the grader failed on
  --unsafe        grade without cages where this machine allows none: submissions can then do whatever you can
  --shard I/N     grade only part I of N; with auto, the part that a Slurm array or a Kubernetes indexed Job assigns
                  to this machine (scripts/cluster)
  --help          this text

SUBMISSIONS.csv beside SUBMISSIONS adjusts points: a header line, then a line for each submission to adjust. Its
columns, in any order:

  name            of the submission, or the student's number on the platform
  late            percent to take off, or days and percent per day: 20 or 2x10
  points          of 100; replaces the result, lateness included
  as              the command that builds it, to make its --as trial count
  reason          must not be empty

Without judging anything:

  --rescore DIR                    recount the points of the results in DIR by --rubric, and write them back
  --merge PART...                  merge the results of parts of a class; --out names a new directory
  --alike SUBMISSIONS              write alike.csv into --out: the passages that submissions share, except those from
                                   --handout DIR; both may be repeated, for last year's class and each language
  --bundle gradescope|classroom50  pack the grader into --out: a zip, or a folder with a workflow and a zip

Exit status: 0 all graded, 1 the grader failed on some, 2 it could not run, 130 interrupted.

examples:
  scripts/grade submissions
  scripts/grade submissions --only ana --only luis --runs 5
  scripts/grade submissions --only ana --as 'make all; cp server bin/mqfiled'
  scripts/grade submissions.zip --resume
  scripts/grade --rescore grades --rubric rubric.json
  scripts/grade --merge part-1 part-2 --out grades
  scripts/grade --alike submissions --alike last-year.zip --handout student-c --handout student-go
`

type options struct {
	class   string // folder or archive of the submissions
	out     string
	only    []string
	as      string // command that builds them
	jobs    int
	runs    int
	timeout time.Duration
	rows    []rubric.Row
	resume  bool
	unsafe  bool
	shard   shard.Shard
	rescore string // directory of results
	merge   bool
	parts   []string // to merge: directories of results
	bundle  string   // the platform

	alike, handouts []string // classes to compare, and folders that students began with
}

func parseFlags(args []string) (options, error) {
	o := options{shard: shard.Whole}
	f := flag.NewFlagSet("grade", flag.ContinueOnError)
	f.StringVar(&o.out, "out", "", "")
	f.Func("only", "", func(name string) error { o.only = append(o.only, name); return nil })
	f.StringVar(&o.as, "as", "", "")
	f.IntVar(&o.jobs, "jobs", 0, "")
	f.IntVar(&o.runs, "runs", 1, "")
	seconds := f.Int("timeout", 300, "")
	f.Func("rubric", "", func(file string) (err error) { o.rows, err = readRubric(file); return err })
	f.BoolVar(&o.resume, "resume", false, "")
	f.BoolVar(&o.unsafe, "unsafe", false, "")
	f.Func("shard", "", func(text string) (err error) { o.shard, err = shard.Parse(text); return err })
	f.StringVar(&o.rescore, "rescore", "", "")
	f.BoolVar(&o.merge, "merge", false, "")
	f.StringVar(&o.bundle, "bundle", "", "")
	f.Func("alike", "", func(path string) error { o.alike = append(o.alike, path); return nil })
	f.Func("handout", "", func(dir string) error { o.handouts = append(o.handouts, dir); return nil })
	err := tool.Parse(f, args, usage, func() error {
		folders, err := tool.Rest(f)
		if err == nil && (o.jobs < 0 || o.runs < 1 || *seconds < 1) {
			err = errors.New("--jobs, --runs and --timeout must be at least 1")
		}
		return cmp.Or(err, o.take(folders))
	})
	if err != nil {
		return o, err
	}
	o.timeout = time.Duration(*seconds) * time.Second
	if o.jobs == 0 {
		o.jobs = jobsOfProcessor * runtime.NumCPU()
	}
	if o.out == "" {
		o.out = defaultOut[o.bundle]
	}
	if o.rescore != "" && o.rows == nil {
		o.rows = rubric.Standard()
	}
	return o, nil
}

// cleanPaths has paths told apart as text: what is beside the class, which can be ".", and what of it are the results.
func (o *options) cleanPaths() (err error) {
	paths := []*string{&o.class, &o.out}
	for i := range o.alike {
		paths = append(paths, &o.alike[i])
	}
	for _, path := range paths {
		if *path != "" && err == nil {
			*path, err = filepath.Abs(*path)
		}
	}
	return err
}

// defaultOut is where results go, and bundles by their platform.
var defaultOut = map[string]string{
	"": "grades", gradescope: "daemonlab-gradescope.zip", classroom50: "daemonlab-classroom50",
}

// take takes the arguments that are no flags, for what is to be done.
func (o *options) take(folders []string) error {
	modes := 0
	for _, wanted := range []bool{o.rescore != "", o.merge, o.bundle != "", o.alike != nil} {
		if wanted {
			modes++
		}
	}
	switch {
	case modes > 1:
		return errors.New("--rescore, --merge, --alike and --bundle: one at a time")
	case o.handouts != nil && o.alike == nil:
		return errors.New("--handout: only with --alike")
	case o.merge && len(folders) == 0:
		return errors.New("--merge: name the directories of the parts")
	case o.merge:
		o.parts = folders
	case modes == 1 && len(folders) > 0:
		return fmt.Errorf("unexpected argument %q", folders[0])
	case o.as != "" && len(o.only) != 1:
		return errors.New("--as: name one submission with --only")
	case modes == 0 && len(folders) != 1:
		return errors.New("name one folder or archive of submissions")
	case modes == 0:
		o.class = folders[0]
	}
	if _, known := defaultOut[o.bundle]; !known {
		return fmt.Errorf("--bundle %s: must be %s or %s", o.bundle, gradescope, classroom50)
	}
	return nil
}

// jobsOfProcessor are more than one, since judging is mostly waiting.
const jobsOfProcessor = 3

// readRubric reads a rubric for the rows that the specs know.
func readRubric(file string) ([]rubric.Row, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	rows, err := rubric.Parse(content)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if _, known := rubric.Find(rubric.Standard(), row.ID); !known {
			return nil, fmt.Errorf("%s: no specs for row %q", file, row.ID)
		}
	}
	return rows, nil
}

// choose returns the items to grade.
func (o options) choose(items []intake.Item) (chosen []intake.Item, err error) {
	if len(o.only) == 0 {
		return items, nil
	}
	for _, only := range o.only {
		item, err := intake.Find(items, only)
		if err != nil {
			return nil, fmt.Errorf("--only: %s: %w", o.class, err)
		}
		if !slices.ContainsFunc(chosen, func(i intake.Item) bool { return i.Name == item.Name }) {
			chosen = append(chosen, item)
		}
	}
	return chosen, nil
}

// prepareOut makes the directory of results. Those of another run are not mixed with these, nor those of another rubric or
// suite: what was judged by it would look as if it had not been reached.
func (g *grader) prepareOut() error {
	dir := filepath.Join(g.o.out, "submissions")
	err := os.MkdirAll(dir, 0o755)
	if err != nil {
		return err
	}
	if g.out, err = results.Lock(g.o.out); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	goesOn := g.o.resume || len(g.o.only) > 0
	if len(entries) > 0 && !goesOn {
		return fmt.Errorf("there are results in %s: --resume continues them, --only grades one again, --out names another "+
			"directory", g.o.out)
	}
	before, err := class.Load(g.o.out)
	switch {
	case !goesOn, errors.Is(err, fs.ErrNotExist) && len(entries) == 0:
		before = class.Class{Rubric: rubric.Standard()}
	case err != nil:
		return err
	case before.Kit != g.kit:
		return fmt.Errorf("the results in %s are from version %q of the kit, and this is %q: --out names another directory",
			g.o.out, before.Kit, g.kit)
	case before.NotJudged(g.o.rows) != "":
		return fmt.Errorf("row %q was not judged for the results in %s: --out names another directory",
			before.NotJudged(g.o.rows), g.o.out)
	}
	if g.before = before.Submissions; g.o.rows == nil {
		g.o.rows = before.Rubric
	}
	return nil
}
