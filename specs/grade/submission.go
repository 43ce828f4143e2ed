package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"daemonlab/specs/grade/cage"
	"daemonlab/specs/grade/class"
)

// maxSubmission bounds the files of a submission, in bytes.
const maxSubmission = 64 << 20

// attempt is the grading of one submission.
type attempt struct {
	*grader
	class.Submission
	files string // archive of the submission
	built string // the same after building
}

// grade builds and judges a submission. What becomes of it when ctx ends means nothing.
func (g *grader) grade(ctx context.Context, name class.Name) class.Submission {
	base := g.room("files/" + name.Folder())
	a := &attempt{
		grader: g, Submission: class.Submission{Name: name}, files: base + ".tar", built: base + ".built.tar",
	}
	defer os.Remove(a.files)
	defer os.Remove(a.built)
	if err := a.run(ctx); err != nil {
		a.Verdict, a.Why = verdictOf(err)
	}
	return a.Submission
}

// fault is a reason not to grade that is the submission's own.
type fault struct {
	verdict class.Verdict
	why     string
}

func (f fault) Error() string { return f.why }

// verdictOf says what an error means. Whatever is not known to be the submission's fault is the grader's.
func verdictOf(err error) (verdict class.Verdict, why string) {
	var f fault
	if errors.As(err, &f) {
		return f.verdict, f.why
	}
	return class.GraderFailed, err.Error()
}

func (a *attempt) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{a.pack, a.build, a.judge} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pack takes the submission's files as they are now, and finds out how they are built.
func (a *attempt) pack(context.Context) error {
	folder := filepath.Join(a.o.folder, string(a.Name))
	if a.Language = language(folder); a.Language == "" {
		return fault{class.NoBuild, "there is neither a Makefile nor a go.mod"}
	}
	file, err := os.OpenFile(a.files, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(cage.Pack(file, folder, maxSubmission), file.Close())
	if errors.Is(err, cage.ErrTooLarge) {
		return fault{class.NoBuild, fmt.Sprintf("its files are more than %d MiB", maxSubmission>>20)}
	}
	return err
}

// language tells "c", which stands for whatever make builds, from "go".
func language(folder string) string {
	for _, of := range []struct{ file, language string }{
		{"Makefile", "c"}, {"makefile", "c"}, {"GNUmakefile", "c"}, {"go.mod", "go"},
	} {
		if info, err := os.Stat(filepath.Join(folder, of.file)); err == nil && info.Mode().IsRegular() {
			return of.language
		}
	}
	return ""
}

// oneLine makes a reason of what may be many lines.
func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
