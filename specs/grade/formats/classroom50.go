package formats

import (
	"cmp"
	"os"
	"time"

	"daemonlab/specs/grade/class"
)

// classroom50 is its result.json, as the page Advanced-Autograding of the wiki of foundation50/classroom50 has it.
type classroom50 struct {
	Schema         string            `json:"schema"`
	Classroom      string            `json:"classroom"`
	Assignment     string            `json:"assignment"`
	AssignmentType string            `json:"assignment_type"`
	Owner          string            `json:"owner"`
	Submission     string            `json:"submission"`
	Commit         string            `json:"commit"`
	Release        string            `json:"release"`
	Review         string            `json:"review"`
	Datetime       string            `json:"datetime"`
	GradedAt       string            `json:"graded_at"`
	Score          int               `json:"score"`
	MaxScore       int               `json:"max-score"`
	Tests          []classroom50Test `json:"tests"`
	Verdict        class.Verdict     `json:"verdict"` // ours, as is the output of a test
}

// classroom50Test is one of its tests, which is a row of the rubric.
type classroom50Test struct {
	Name     string `json:"test-name"`
	Passed   bool   `json:"passed"`
	Score    int    `json:"score"`
	MaxScore int    `json:"max-score"`
	Output   string `json:"output,omitempty"`
}

// newClassroom50 makes it of a submission. Who and what was graded comes from the environment that its runner sets, if
// that names a classroom; elsewhere words stand in their place, which its collection of scores refuses.
//
// The format knows no submission that was not judged. One for which the grader failed has neither tests nor points that
// could be had, as in a run without an autograder.
func newClassroom50(s class.Submission, c class.Class) classroom50 {
	const none = "none"
	env := os.Getenv
	if env("CLASSROOM") == "" {
		env = func(string) string { return "" }
	}
	ended := c.Ended.UTC().Format(instant)
	commit := cmp.Or(env("COMMIT_URL"), none)
	r := classroom50{
		Schema:         "classroom50/result/v1",
		Classroom:      cmp.Or(env("CLASSROOM"), none),
		Assignment:     cmp.Or(env("ASSIGNMENT"), "daemonlab"),
		AssignmentType: cmp.Or(env("ASSIGNMENT_TYPE"), "individual"),
		Owner:          cmp.Or(env("OWNER"), s.Name.String()),
		Submission:     cmp.Or(env("SUBMISSION_TAG"), "submit/"+c.Ended.UTC().Format("2006-01-02T15-04-05Z")),
		Commit:         commit,
		Release:        cmp.Or(env("RELEASE_URL"), none),
		Review:         cmp.Or(env("REVIEW_URL"), commit),
		Datetime:       cmp.Or(submittedAt(env("COMMIT_DATE")), ended),
		GradedAt:       ended,
		Tests:          []classroom50Test{},
		Verdict:        s.Verdict,
	}
	got, of, given := s.Earned(c.Rubric) // the points are the sum of the tests'
	if !given {
		return r
	}
	r.Score, r.MaxScore = got, of
	for _, row := range c.Rubric {
		found, _ := s.Row(row.ID)
		t := classroom50Test{Name: row.ID + ": " + row.Title.EN, Output: report(s, row, found, "en")}
		switch found.Status {
		case class.Skipped, class.Error:
			// counts neither as had nor as to be had
		case class.Passed:
			t.Passed, t.Score, t.MaxScore = true, row.Points, row.Points
		default:
			t.MaxScore = row.Points
		}
		r.Tests = append(r.Tests, t)
	}
	return r
}

// instant is how the contract writes times.
const instant = "2006-01-02T15:04:05Z"

// submittedAt brings a time as git writes it with %cI to the form of the contract.
func submittedAt(committed string) string {
	t, err := time.Parse(time.RFC3339, committed)
	if err != nil {
		return ""
	}
	return t.UTC().Format(instant)
}
