package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/intake"
	"daemonlab/specs/rubric"
)

// attempt is the grading of one submission.
type attempt struct {
	*grader
	class.Submission
	item   intake.Item
	handed intake.Handed
	as     string // build command to use instead of the contract's
	dir    string // unpacked, as handed in
	files  string // archive of the submission
	built  string // archive after the build
}

// grade builds and judges a submission. If ctx is done the result is meaningless.
func (g *grader) grade(ctx context.Context, item intake.Item, as string, unreadable error) class.Submission {
	room := g.room("files/" + item.Name.Folder()) // a directory of its own: another submission can have any name
	a := &attempt{
		grader: g, Submission: class.Submission{Name: item.Name, Student: item.Student, When: time.Now()}, item: item, as: as,
		dir: room + "/handed", files: room + "/files.tar", built: room + "/built.tar",
	}
	defer os.RemoveAll(room)
	err := unreadable
	for _, step := range []func(context.Context) error{a.takeIn, a.build, a.judge} {
		if err == nil {
			err = step(ctx)
		}
	}
	if f := (fault{}); errors.As(err, &f) {
		a.Verdict, a.Why = f.verdict, oneLine(f.why.EN)
		a.note(f.why)
	} else if err != nil {
		a.Verdict, a.Why = class.GraderFailed, err.Error()
	}
	a.Seconds = time.Since(a.When).Round(time.Millisecond).Seconds()
	return a.Submission
}

// fault is a reason not to grade that is the submission's fault. Any other error is the grader's.
type fault struct {
	verdict class.Verdict
	why     rubric.Text
}

func (f fault) Error() string { return f.why.EN }

// note adds a note for the author about the submission's form.
func (a *attempt) note(text rubric.Text) {
	a.Notes = rubric.Text{EN: strings.TrimSpace(a.Notes.EN + "\n" + text.EN), ES: strings.TrimSpace(a.Notes.ES + "\n" + text.ES)}
}

// guess asks for a person to look at the submission.
func (a *attempt) guess(g intake.Guess) {
	look := class.Look{Why: g.Why}
	if g.As != "" {
		look.Command = fmt.Sprintf("scripts/grade %s --only %s --as %s --out %s", intake.Quote(a.o.class),
			intake.Quote(a.Name.String()), intake.Quote(g.As), intake.Quote(a.o.out))
	}
	a.Look = append(a.Look, look)
}

// takeIn unpacks what was handed in and finds the program in it.
func (a *attempt) takeIn(context.Context) error {
	if a.item.Stray.EN != "" {
		return fault{class.NotOne, a.item.Stray}
	}
	err := os.MkdirAll(a.dir, 0o700)
	if err != nil {
		return err
	}
	a.handed, err = a.item.Unpack(a.dir)
	if r := (*intake.Refused)(nil); errors.As(err, &r) {
		a.guess(intake.Guess{Why: r.Why})
		return fault{class.NoBuild, r.Why}
	}
	if err != nil {
		return err
	}
	a.Language = a.handed.Language
	if a.handed.Removed != nil {
		a.note(finding.Say("handed in as compiled files and removed before the build: %s",
			strings.Join(a.handed.Removed, ", ")))
	}
	if a.handed.Skipped != nil {
		a.note(finding.Say("left out, being neither files nor folders: %s", strings.Join(a.handed.Skipped, ", ")))
	}
	if a.handed.Below != "" && a.handed.Below != "." {
		a.note(finding.Say("the program was found in %s", a.handed.Below))
	}
	if a.Language != "" || a.as != "" {
		return nil
	}
	guesses := a.handed.Unbuildable()
	for _, g := range guesses {
		a.guess(g)
	}
	return fault{class.NoBuild, guesses[0].Why}
}

// oneLine turns a reason, which may have several lines and names from outside, into one line that is safe to display.
func oneLine(text string) string {
	return finding.Plain(strings.Join(strings.Fields(text), " "))
}

// capped keeps the beginning of a job's output and drops the rest. It is complete once the job has ended.
type capped struct {
	kept  bytes.Buffer // not embedded: io.Copy would fill it by its ReadFrom
	limit int
}

func (c *capped) Write(p []byte) (int, error) {
	c.kept.Write(p[:min(len(p), c.limit-c.kept.Len())])
	return len(p), nil
}

// keep saves evidence in the submission's results directory, unless it is empty.
func (a *attempt) keep(name string, content []byte) error {
	if len(content) == 0 {
		return nil
	}
	if a.o.as != "" {
		name = trial + name
	}
	return os.WriteFile(filepath.Join(a.Name.Dir(a.o.out), name), content, 0o644)
}

// trial is the prefix of file names of a trial's evidence.
const trial = "trial-"

var evidence = regexp.MustCompile(`^(` + trial + `)?(build|judge-.*)\.(log|json)$`)

// makeDir makes the submission's results directory, or removes old evidence from it; a trial keeps that of the grading
// proper.
func (g *grader) makeDir(dir string) error {
	err := os.MkdirAll(dir, 0o755)
	files, readErr := os.ReadDir(dir)
	err = errors.Join(err, readErr)
	for _, file := range files {
		if evidence.MatchString(file.Name()) && (g.o.as == "" || strings.HasPrefix(file.Name(), trial)) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, file.Name())))
		}
	}
	return err
}
