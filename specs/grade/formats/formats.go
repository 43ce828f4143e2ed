// Package formats writes grading results in the formats that others read: for students, spreadsheets, Moodle, Canvas,
// Gradescope, Classroom 50, and readers of JUnit reports.
package formats

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// Write writes all formats into a results directory: grades.csv, junit.xml, imports for Moodle and Canvas and a
// feedback folder for the class; gradescope/results.json and classroom50/result.json for each submission.
func Write(out string, c class.Class) error {
	errs := []error{
		writeTable(filepath.Join(out, "grades.csv"), grades(c)),
		write(filepath.Join(out, "junit.xml"), junit(c)),
		writeImports(out, c),
		writeFeedback(filepath.Join(out, "feedback"), c),
	}
	for _, s := range c.Submissions {
		errs = append(errs,
			writeJSON(filepath.Join(s.Name.Dir(out), "gradescope", "results.json"), gradescope(s, c.Rubric)),
			writeJSON(filepath.Join(s.Name.Dir(out), "classroom50", "result.json"), classroom50(s, c)))
	}
	return errors.Join(errs...)
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
	return tool.WriteFile(file, content, false)
}

// endings tell the author why a submission was not graded, or not completely.
var endings = map[class.Verdict]rubric.Text{
	class.NoBuild: {EN: "It does not build", ES: "No compila"},
	class.Timeout: {EN: "Judging took too long. The rows judged before that count",
		ES: "Evaluarla tardó demasiado. Cuenta lo evaluado hasta entonces"},
	class.GraderFailed: {EN: "The grader failed, not the submission. No points are given or taken",
		ES: "Falló el evaluador, no la entrega. No se dan ni se quitan puntos"},
	class.NotOne: {}, // the note says it
}

// explain returns how grading ended, with the build output; empty if it ended well.
func explain(s class.Submission, lang string) string {
	ending, ok := endings[s.Verdict]
	if !ok {
		return ""
	}
	text := strings.TrimPrefix(ending.In(lang)+": "+cmp.Or(s.Notes.In(lang), s.Why), ": ")
	if s.Verdict == class.NoBuild && s.Build.Command != "" {
		text += "\n$ " + s.Build.Command + "\n" + s.Build.Output
	}
	return forStudent(text)
}

// remarks concern the submission as a whole: how it ended, its form, and the instructor's adjustments.
func remarks(s class.Submission, lang string) string {
	return strings.TrimSpace(forStudent(cmp.Or(explain(s, lang), s.Notes.In(lang)) + "\n" + adjusted(s, lang)))
}

// adjusted describes the instructor's adjustment and its reason; empty if there is none.
func adjusted(s class.Submission, lang string) string {
	if s.Adjust == (class.Adjustment{}) {
		return ""
	}
	text := rubric.Text{EN: "adjusted", ES: "ajustado"}.In(lang)
	if s.Adjust.Late > 0 && s.Adjust.Points == nil {
		text += fmt.Sprintf(", −%d %%", s.Adjust.Late)
	}
	return finding.Plain(text + ": " + s.Adjust.Reason)
}

// report describes a row that did not pass: what was seen, the hint, and in how many runs it passed.
func report(s class.Submission, row rubric.Row, found class.Row, lang string) string {
	if found.Status == class.Passed {
		return ""
	}
	text := found.Report(row, lang)
	if found.Status == class.Failed && found.Finding == nil && text != "" { // no hint without a message it explains
		text += "\n" + row.Hint.In(lang)
	}
	if s.Unsteady(found) {
		passed := rubric.Text{EN: "It passed in %d of %d runs. ", ES: "Superada en %d de %d ejecuciones. "}.In(lang)
		text = fmt.Sprintf(passed, found.Passes, s.Runs) + text
	}
	return forStudent(text)
}

// place matches an absolute path with at least one directory, so no queue name.
var place = regexp.MustCompile(`(^|[^\pL\pN_./…-]|-[A-Za-z])(/[^\s"'` + "`" + `:;,()<>|/]+)+/([^\s"'` + "`" + `:;,()<>|/]*)`)

// forStudent reduces paths to their last element: where the grader keeps its files is no use to a student. Paths that
// every Linux has stay.
func forStudent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(finding.Plain(text)) { // on a long text regexp is many times slower
		if strings.Count(line, "/") > 1 {
			line = place.ReplaceAllStringFunc(line, withoutDir)
		}
		b.WriteString(line)
	}
	return b.String()
}

func withoutDir(path string) string {
	at := strings.IndexByte(path, '/')
	switch first, _, _ := strings.Cut(path[at+1:], "/"); first {
	case "proc", "sys", "dev", "etc", "bin", "lib", "run":
		return path
	}
	return path[:at] + "…/" + path[strings.LastIndexByte(path, '/')+1:]
}
