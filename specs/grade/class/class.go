// Package class has the results of grading a class of submissions. Every output format is made from them, and points
// can be computed again from them when weights change.
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
	NoBuild      Verdict = "no-build"      // it does not build, within the time for that
	Timeout      Verdict = "time-out"      // judging it took longer than a submission may; rows judged until then count
	GraderFailed Verdict = "grader-failed" // the fault is the grader's: no points are given or taken
	NotOne       Verdict = "not-one"       // what was handed in is no submission: a file beside the folders, say
)

// The ways in which a row of a submission can end.
const (
	Passed  = "passed"
	Failed  = "failed"
	Skipped = "skipped" // counts neither in points nor in what can be had
	Error   = "error"   // the suite could not judge it
)

// Class is a run of the grader.
type Class struct {
	Format      string       `json:"format"` // Format
	Kit         string       `json:"kit"`    // version of the kit
	Machine     string       `json:"machine"`
	Began       time.Time    `json:"began"`
	Ended       time.Time    `json:"ended"` // zero until then
	Rubric      []rubric.Row `json:"rubric"`
	Submissions []Submission `json:"submissions"` // by name
}

// Format names the layout of [Class] as JSON.
const Format = "daemonlab/class/v1"

// Submission is what was found of one.
//
// Its rows in the order of the rubric are those that were judged. One that is missing was not reached, and has no
// points.
type Submission struct {
	Name     Name              `json:"name"`
	Verdict  Verdict           `json:"verdict"`
	Why      string            `json:"why,omitempty"`      // one line, when it was not graded
	Language string            `json:"language,omitempty"` // "go" or "c"
	Build    Build             `json:"build"`
	Runs     int               `json:"runs"` // how many times it was judged
	Rows     []Row             `json:"rows"` // in the order of the rubric; empty if it was not judged
	Seconds  float64           `json:"seconds"`
	Hashes   map[string]string `json:"hashes,omitempty"` // SHA-256 of the programs that were judged, by name

	Student Student     `json:"student,omitzero"`
	Notes   rubric.Text `json:"notes,omitzero"`  // for its author: what was found in its form, and what to change
	Look    []Look      `json:"look,omitempty"`  // why a person should look at it
	Trial   *Trial      `json:"trial,omitempty"` // how it would have ended; counts nowhere
	Adjust  Adjustment  `json:"adjust,omitzero"`
	Handed  string      `json:"handed,omitempty"`  // SHA-256 of what was handed in and how it was to be built
	When    time.Time   `json:"when,omitzero"`     // it was graded
	History []Earlier   `json:"history,omitempty"` // its gradings before, the oldest first
}

// Student is what the name of a folder or file tells, as the course's platform writes it. All is empty where it tells
// nothing.
type Student struct {
	Platform string `json:"platform,omitempty"` // "moodle", "canvas", "gradescope"
	Name     string `json:"name,omitempty"`     // Canvas: last name and first in one word
	ID       string `json:"id,omitempty"`       // Moodle's participant, Canvas's user, Gradescope's submission
}

// Look is a reason of form for which a submission could not be judged as it was probably meant.
type Look struct {
	Why     rubric.Text `json:"why"`
	Command string      `json:"command,omitempty"` // for a shell: grades it as it was probably meant, as a [Trial]
}

// Trial is the grading of a submission that was built in another way than the contract's.
type Trial struct {
	Command string  `json:"command"` // builds it
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
	Rows    []Row   `json:"rows,omitempty"`
	Got     int     `json:"got"`
	Of      int     `json:"of"`
}

// Adjustment is what the instructor's table says of a submission.
type Adjustment struct {
	Late   int    `json:"late,omitempty"`   // percent of the points that are taken off
	Points *int   `json:"points,omitempty"` // of 100, instead of those that were counted; nothing is taken off them
	As     string `json:"as,omitempty"`     // it was built by this command
	Reason string `json:"reason,omitempty"`
}

// Earlier is a grading that another has followed.
type Earlier struct {
	When    time.Time `json:"when"`
	Verdict Verdict   `json:"verdict"`
	Got     int       `json:"got"`
	Of      int       `json:"of"`
}

// Build is how the programs were made.
type Build struct {
	Command string  `json:"command"`
	Output  string  `json:"output"` // what the compiler said, cut to a bounded length
	Seconds float64 `json:"seconds"`
}

// Row is one line of the rubric for one submission.
type Row struct {
	ID      string           `json:"id"`
	Status  string           `json:"status"` // passed only if it passed in every run
	Passes  int              `json:"passes"` // of so many runs
	Seconds float64          `json:"seconds"`
	Finding *finding.Finding `json:"finding,omitempty"` // of the first run that did not pass
	Why     rubric.Text      `json:"why,omitzero"`      // there is no finding, or no verdict
}

func (s Submission) Row(id string) (Row, bool) {
	for _, r := range s.Rows {
		if r.ID == id {
			return r, true
		}
	}
	return Row{}, false
}

// Count is how many submissions ended with a verdict.
func (c Class) Count(verdict Verdict) (n int) {
	for _, s := range c.Submissions {
		if s.Verdict == verdict {
			n++
		}
	}
	return n
}

// NotJudged returns the first of these rows that the class was not judged on, empty if there is none.
func (c Class) NotJudged(rows []rubric.Row) string {
	for _, row := range rows {
		if _, ok := rubric.Find(c.Rubric, row.ID); !ok {
			return row.ID
		}
	}
	return ""
}

// Points is what a submission has of what it could have by a rubric, after the instructor's adjustments. None are
// given, not even 0, where the grader failed or nothing was handed in that could be a submission.
func (s Submission) Points(rows []rubric.Row) (got, of int, given bool) {
	got, of, given = s.Earned(rows)
	if p := s.Adjust.Points; p != nil {
		return *p, rubric.Total, true
	}
	return got - got*s.Adjust.Late/100, of, given // a part of a point is the student's
}

// Undecided reports whether a person has to look at the submission before its points count: whoever takes off points for
// being late has not looked.
func (s Submission) Undecided() bool {
	return len(s.Look) > 0 && s.Adjust.Points == nil && s.Adjust.As == ""
}

// Earned is what the rows give, before any adjustment.
//
// A row holds as a whole and in each run: 3 passes of 5 are a fault that comes and goes, so they give nothing. What
// could not be judged here, a row that is skipped or in which the suite failed, counts neither as had nor as to be
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

// Save writes the class into a directory of results.
func (c Class) Save(out string) error {
	c.Format = Format
	return save(filepath.Join(out, classFile), c)
}

// Load reads the class from a directory of results.
func Load(out string) (Class, error) {
	var c Class
	file := filepath.Join(out, classFile)
	if err := load(file, &c); err != nil {
		return c, err
	}
	if c.Format != Format {
		return c, fmt.Errorf("%s: its format is %q, not %q", file, c.Format, Format)
	}
	return c, nil
}

// Dir is the directory of a submission in a directory of results. Its evidence is there.
func (n Name) Dir(out string) string {
	return filepath.Join(out, submissionsDir, n.Folder())
}

// Save writes the submission into its directory, which must be there. A reader finds it whole or not at all, also after
// the machine has stopped, so it tells that the submission was judged.
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
		return s, fmt.Errorf("%s: it is about %q, not %q", file, s.Name, name)
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

// save writes a file that is there, whole, also when the machine stops.
func save(file string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return tool.WriteFile(file, append(content, '\n'), true)
}

// mostShown bounds what is shown of a row, in bytes.
const mostShown = 16 << 10

// Report says in a language what was found of a row that did not pass, fit to be shown: the finding with the hint, then
// what /proc and the logs showed.
func (r Row) Report(row rubric.Row, lang string) string {
	text := finding.Plain(r.Why.In(lang))
	if r.Finding != nil {
		text = r.Finding.Whole(row, lang, 0)
	}
	return bounded(text)
}

// Shown is the same in both languages for a page that has the hint elsewhere, the facts apart.
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

// Unsteady reports whether the row passed in some runs of a submission and not in others.
func (s Submission) Unsteady(r Row) bool {
	return r.Status == Failed && r.Passes > 0
}

// Name is a submission's, which is its folder's: any bytes but NUL and a slash.
type Name string

// String shows the name to people: on one line, with everything that does not print, directs text or is no UTF-8
// escaped. Different names look different.
func (n Name) String() string {
	return finding.Escape(strings.ReplaceAll(string(n), `\`, `\\`), "")
}

// rawName is how a name looks in JSON whose strings cannot hold it.
type rawName struct {
	Bytes []byte `json:"bytes"`
}

// MarshalJSON writes a string, or an object with the bytes where they are no UTF-8, which encoding/json would replace.
func (n Name) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(n)) {
		return json.Marshal(string(n))
	}
	return json.Marshal(rawName{[]byte(n)})
}

// UnmarshalJSON reads what [Name.MarshalJSON] writes.
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
	folderLength = 60 // bytes of the name in a folder's
	folderHash   = 6  // bytes of the hash
)

// Folder is a name for a folder or file that belongs to the submission: plain on every file system, and another one for
// each name. A name that is not plain itself gets a hash behind a tilde, which no plain one has.
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
