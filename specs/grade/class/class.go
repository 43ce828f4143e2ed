// Package class holds the results of grading a class of submissions. All output formats are made from them, and points
// can be recomputed from them when weights change.
package class

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// Verdict is how the grading of a submission ended.
type Verdict string

const (
	Graded       Verdict = "graded"        // its rows were judged; the points can still be 0
	NoBuild      Verdict = "no-build"      // it does not build, or not in time
	Timeout      Verdict = "time-out"      // judging it exceeded the submission's time; rows judged until then count
	GraderFailed Verdict = "grader-failed" // the grader's fault: no points are given or taken
	NotOne       Verdict = "not-one"       // not a submission: a file beside the folders, for example
)

// Statuses of a row of a submission.
const (
	Passed  = "passed"
	Failed  = "failed"
	Skipped = "skipped" // counts neither as earned nor as attainable
	Error   = "error"   // the suite could not judge it
)

// Class is one run of the grader.
type Class struct {
	Format      string       `json:"format"` // Format
	Kit         string       `json:"kit"`    // version of the kit
	Machine     string       `json:"machine"`
	Began       time.Time    `json:"began"`
	Ended       time.Time    `json:"ended"` // zero while it runs
	Rubric      []rubric.Row `json:"rubric"`
	Submissions []Submission `json:"submissions"` // by name
}

// Format identifies the JSON layout of [Class].
const Format = "daemonlab/class/v1"

// Submission is the result of grading one submission.
//
// Rows has only the rows that were judged, in the order of the rubric. A missing one was not reached, and gets no
// points.
type Submission struct {
	Name     Name              `json:"name"`
	Verdict  Verdict           `json:"verdict"`
	Why      string            `json:"why,omitempty"`      // one line, if it was not graded
	Language string            `json:"language,omitempty"` // "go" or "c"
	Build    Build             `json:"build"`
	Runs     int               `json:"runs"` // number of runs
	Rows     []Row             `json:"rows"` // in the order of the rubric; empty if nothing was judged
	Seconds  float64           `json:"seconds"`
	Hashes   map[string]string `json:"hashes,omitempty"` // SHA-256 of the judged programs, by name

	Student Student     `json:"student,omitzero"`
	Notes   rubric.Text `json:"notes,omitzero"`  // for its author: what was wrong with its form, and what to change
	Look    []Look      `json:"look,omitempty"`  // reasons for a person to look at it
	Trial   *Trial      `json:"trial,omitempty"` // how it would have ended; never counts
	Adjust  Adjustment  `json:"adjust,omitzero"`
	Handed  string      `json:"handed,omitempty"`  // SHA-256 of what was handed in and of how to build it
	When    time.Time   `json:"when,omitzero"`     // when it was graded
	History []Earlier   `json:"history,omitempty"` // its earlier gradings, oldest first
}

// Student is what a course platform puts into the name of a folder or file. Unknown fields are empty.
type Student struct {
	Platform string `json:"platform,omitempty"` // "moodle", "canvas", "gradescope"
	Name     string `json:"name,omitempty"`     // Canvas: last and first name in one word
	ID       string `json:"id,omitempty"`       // Moodle's participant, Canvas's user or Gradescope's submission
}

// Look is a formal defect that may have kept a submission from being judged as its author meant it.
type Look struct {
	Why     rubric.Text `json:"why"`
	Command string      `json:"command,omitempty"` // shell command that grades it as probably meant, as a [Trial]
}

// Trial is a grading of a submission built in another way than the contract asks.
type Trial struct {
	Command string  `json:"command"` // build command
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
	Rows    []Row   `json:"rows,omitempty"`
	Got     int     `json:"got"`
	Of      int     `json:"of"`
}

// Adjustment is an entry of the instructor's table.
type Adjustment struct {
	Late   int    `json:"late,omitempty"`   // percent deducted
	Points *int   `json:"points,omitempty"` // of 100; replaces the points earned, without deduction
	As     string `json:"as,omitempty"`     // the command it was built with
	Reason string `json:"reason,omitempty"`
}

// Earlier is a grading that a later one has replaced.
type Earlier struct {
	When    time.Time `json:"when"`
	Verdict Verdict   `json:"verdict"`
	Got     int       `json:"got"`
	Of      int       `json:"of"`
}

// Build is how the programs were built.
type Build struct {
	Command string  `json:"command"`
	Output  string  `json:"output"` // of the compiler, truncated
	Seconds float64 `json:"seconds"`
}

// Row is the result of one row of the rubric.
type Row struct {
	ID      string           `json:"id"`
	Status  string           `json:"status"` // passed only if every run passed
	Passes  int              `json:"passes"` // number of runs that passed
	Seconds float64          `json:"seconds"`
	Finding *finding.Finding `json:"finding,omitempty"` // of the first run that did not pass
	Why     rubric.Text      `json:"why,omitzero"`      // if there is no finding, or no verdict
}

func (s Submission) Row(id string) (Row, bool) {
	for _, r := range s.Rows {
		if r.ID == id {
			return r, true
		}
	}
	return Row{}, false
}

// Count returns how many submissions ended with a verdict.
func (c Class) Count(verdict Verdict) (n int) {
	for _, s := range c.Submissions {
		if s.Verdict == verdict {
			n++
		}
	}
	return n
}

// NotJudged returns the first of these rows that the class was not judged on, or "".
func (c Class) NotJudged(rows []rubric.Row) string {
	for _, row := range rows {
		if _, ok := rubric.Find(c.Rubric, row.ID); !ok {
			return row.ID
		}
	}
	return ""
}

// Points returns the points earned and attainable by a rubric, after the instructor's adjustments. Where the grader
// failed or nothing was handed in that could be a submission, none are given, not even 0.
func (s Submission) Points(rows []rubric.Row) (got, of int, given bool) {
	got, of, given = s.Earned(rows)
	if p := s.Adjust.Points; p != nil {
		return *p, rubric.Total, true
	}
	return got - got*s.Adjust.Late/100, of, given // rounds in the student's favour
}

// Undecided reports whether a person has to look at the submission before its points count. A late deduction does not
// mean that somebody has looked.
func (s Submission) Undecided() bool {
	return len(s.Look) > 0 && s.Adjust.Points == nil && s.Adjust.As == ""
}

// Earned returns the points before any adjustment.
//
// A row counts as a whole and must pass in every run: 3 passes of 5 are an intermittent fault and earn nothing. A row
// that could not be judged here, because it was skipped or the suite failed, counts neither as earned nor as
// attainable.
// had.
func (s Submission) Earned(rows []rubric.Row) (got, of int, given bool) {
	if s.Verdict == GraderFailed || s.Verdict == NotOne {
		return 0, 0, false
	}
	for _, row := range rows {
		found, _ := s.Row(row.ID)
		switch found.Status {
		case Skipped, Error:
			continue
		case Passed:
			got += row.Points
		}
		of += row.Points
	}
	return got, of, true
}

const (
	classFile      = "class.json"
	submissionFile = "submission.json"
	submissionsDir = "submissions"
)

// Save writes the class into a results directory.
func (c Class) Save(out string) error {
	c.Format = Format
	return save(filepath.Join(out, classFile), c)
}

// Load reads the class from a results directory.
func Load(out string) (Class, error) {
	var c Class
	file := filepath.Join(out, classFile)
	if err := load(file, &c); err != nil {
		return c, err
	}
	if c.Format != Format {
		return c, fmt.Errorf("%s: format %q, not %q", file, c.Format, Format)
	}
	return c, nil
}

// Dir returns a submission's directory, which holds its evidence, within a results directory.
func (n Name) Dir(out string) string {
	return filepath.Join(out, submissionsDir, n.Folder())
}

// Save writes the submission into its directory, which must exist. The write is atomic and survives a crash of the
// machine, so the file's existence means that the submission was judged.
func (s Submission) Save(out string) error {
	return save(filepath.Join(s.Name.Dir(out), submissionFile), s)
}

// LoadSubmission reads what [Submission.Save] wrote. It fails with fs.ErrNotExist if the submission was not judged.
func LoadSubmission(out string, name Name) (Submission, error) {
	var s Submission
	file := filepath.Join(name.Dir(out), submissionFile)
	if err := load(file, &s); err != nil {
		return s, err
	}
	if s.Name != name {
		return s, fmt.Errorf("%s: about %q, not %q", file, s.Name, name)
	}
	return s, nil
}

func load(file string, v any) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// save writes a file atomically and syncs it.
func save(file string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return tool.WriteFile(file, append(content, '\n'), true)
}

// mostShown limits what is shown of a row, in bytes.
const mostShown = 16 << 10

// Report returns what was found for a row that did not pass, safe to display: the finding with the hint, then what
// /proc and the logs showed.
func (r Row) Report(row rubric.Row, lang string) string {
	text := finding.Plain(r.Why.In(lang))
	if r.Finding != nil {
		text = r.Finding.Whole(row, lang, 0)
	}
	return bounded(text)
}

// Shown does so in both languages, without the hint and with the facts apart, for a page that shows them elsewhere.
func (r Row) Shown() (text rubric.Text, facts []finding.Fact) {
	if r.Finding == nil {
		return rubric.Text{EN: bounded(finding.Plain(r.Why.EN)), ES: bounded(finding.Plain(r.Why.ES))}, nil
	}
	withoutHint := *r.Finding
	withoutHint.Do, withoutHint.Facts = rubric.Text{}, nil
	none := rubric.Row{}
	text = rubric.Text{EN: bounded(withoutHint.Whole(none, "en", 0)), ES: bounded(withoutHint.Whole(none, "es", 0))}
	for _, fact := range r.Finding.Facts {
		facts = append(facts, finding.Fact{Of: fact.Of, Text: bounded(finding.Plain(fact.Text))})
	}
	return text, facts
}

func bounded(text string) string {
	if len(text) <= mostShown {
		return text
	}
	return strings.ToValidUTF8(text[:mostShown], "") + "\n... (" + submissionFile + " has all of it)"
}

// Unsteady reports whether the row passed in some runs and failed in others.
func (s Submission) Unsteady(r Row) bool {
	return r.Status == Failed && r.Passes > 0
}

// Name is the name of a submission's folder: any bytes but NUL and a slash.
type Name string

// String returns the name for display: one line, with everything escaped that is unprintable, changes text direction or
// is not UTF-8. Different names look different.
func (n Name) String() string {
	return finding.Escape(strings.ReplaceAll(string(n), `\`, `\\`), "")
}

// rawName encodes names that a JSON string cannot hold.
type rawName struct {
	Bytes []byte `json:"bytes"`
}

// MarshalJSON writes a string, or an object with the bytes if they are not UTF-8, which encoding/json would replace.
func (n Name) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(n)) {
		return json.Marshal(string(n))
	}
	return json.Marshal(rawName{[]byte(n)})
}

func (n *Name) UnmarshalJSON(data []byte) error {
	if strings.HasPrefix(string(data), "{") {
		var raw rawName
		err := json.Unmarshal(data, &raw)
		*n = Name(raw.Bytes)
		return err
	}
	var s string
	err := json.Unmarshal(data, &s)
	*n = Name(s)
	return err
}

const (
	folderLength = 60 // bytes of the name in a folder name
	folderHash   = 6  // bytes of the hash
)

// Folder returns a folder or file name for the submission, safe on every file system and unique to its name. A name
// that is not safe itself gets a tilde, which no safe name contains, and a hash.
func (n Name) Folder() string {
	plain := strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) {
			return r
		}
		return '_'
	}, strings.ToLower(string(n)))
	plain = plain[:min(len(plain), folderLength)]
	if strings.HasPrefix(plain, ".") || strings.HasPrefix(plain, "-") {
		plain = "_" + plain[1:]
	}
	if plain == string(n) {
		return plain
	}
	hash := sha256.Sum256([]byte(n))
	return fmt.Sprintf("%s~%x", plain, hash[:folderHash])
}
