// Package class is what grading a class of submissions found. It is the one internal result: every format that is given
// out is made from it, and points can be computed again from it when weights change.
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
	Ended       time.Time    `json:"ended"`
	Rubric      []rubric.Row `json:"rubric"`
	Submissions []Submission `json:"submissions"` // by name
}

// Format names the layout of [Class] as JSON.
const Format = "daemonlab/class/v1"

// Submission is what was found of one.
//
// Its rows in the order of the rubric are those that were judged. One that is missing was not come to, and has no
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
