// Package formats writes what grading found as other programs read it: a spreadsheet, Gradescope, Classroom 50, and
// whatever reads JUnit's reports.
package formats

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// Write writes all formats into a directory of results: grades.csv and junit.xml for the class, gradescope/results.json
// and classroom50/result.json for each submission.
func Write(out string, c class.Class) error {
	errs := []error{
		write(filepath.Join(out, "grades.csv"), grades(c)),
		write(filepath.Join(out, "junit.xml"), junit(c)),
	}
	for _, s := range c.Submissions {
		errs = append(errs, writeSubmission(s.Name.Dir(out), c, s))
	}
	return errors.Join(errs...)
}

func writeSubmission(dir string, c class.Class, s class.Submission) error {
	return errors.Join(
		writeJSON(filepath.Join(dir, "gradescope", "results.json"), NewGradescope(s, c.Rubric)),
		writeJSON(filepath.Join(dir, "classroom50", "result.json"), NewClassroom50(s, c, os.Getenv)),
	)
}

func writeJSON(file string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return write(file, append(content, '\n'))
}

func write(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return class.WriteFile(file, content)
}

// explain says to its author why a submission was not graded, or not to its end; empty if it was.
func explain(s class.Submission) string {
	why := class.Plain(s.Why)
	switch s.Verdict {
	case class.NoBuild:
		return fmt.Sprintf("It does not build: %s\n$ %s\n%s", why, class.Plain(s.Build.Command),
			class.Plain(s.Build.Output))
	case class.Timeout:
		return "Judging it took too long. What was judged until then counts: " + why
	case class.GraderFailed:
		return "The grader failed, not the submission. No points are given or taken: " + why
	case class.NotOne:
		return "It is not a submission: " + why
	}
	return ""
}

// report says what is to be known of a row: what was seen, the hint, and in how many runs it passed.
func report(s class.Submission, row rubric.Row, found class.Row) string {
	if found.Status == class.Passed {
		return ""
	}
	text := found.Report(row, "en")
	if found.Status == class.Failed && found.Finding == nil {
		text += "\n" + row.Hint.EN
	}
	if s.Unsteady(found) {
		text = fmt.Sprintf("It passed in %d of %d runs. %s", found.Passes, s.Runs, text)
	}
	return text
}
