// Package class has the results of grading a class of submissions. Every output format is made from them, and points
// can be computed again from them when weights change.
package class

import (
	"time"

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
	Notes   rubric.Text `json:"notes,omitzero"`    // for its author: what was found in its form, and what to change
	Removed []string    `json:"removed,omitempty"` // programs and object files that were handed in; they were not used
	Look    []Look      `json:"look,omitempty"`    // why a person should look at it
	Trial   *Trial      `json:"trial,omitempty"`   // how it would have ended; counts nowhere
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
	SID      string `json:"sid,omitempty"`      // the school's own number; Gradescope only
	Email    string `json:"email,omitempty"`    // Gradescope only
	Late     bool   `json:"late,omitempty"`     // Canvas only
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
	Output  string  `json:"output,omitempty"` // what building said
	Rows    []Row   `json:"rows,omitempty"`
	Got     int     `json:"got"`
	Of      int     `json:"of"`
}

// Adjustment is what the instructor's table says of a submission.
type Adjustment struct {
	Late   int    `json:"late,omitempty"`   // percent of the points that are taken off
	Points *int   `json:"points,omitempty"` // instead of those that were counted; nothing is taken off them
	As     string `json:"as,omitempty"`     // it was built by this command
	Reason string `json:"reason,omitempty"`
}

// Earlier is a grading that another has followed.
type Earlier struct {
	When    time.Time `json:"when"`
	Verdict Verdict   `json:"verdict"`
	Got     int       `json:"got"`
	Of      int       `json:"of"`
	Handed  string    `json:"handed,omitempty"`
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
