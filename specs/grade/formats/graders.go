package formats

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// Gradescope is its results.json, as gradescope-autograders.readthedocs.io/en/latest/specs has it.
type Gradescope struct {
	Score            *int             `json:"score,omitempty"` // without one, Gradescope shows that the autograder failed
	ExecutionTime    float64          `json:"execution_time"`
	Output           string           `json:"output"`
	OutputFormat     string           `json:"output_format"`
	Visibility       string           `json:"visibility"`
	StdoutVisibility string           `json:"stdout_visibility"` // of what run_autograder printed
	Tests            []GradescopeTest `json:"tests"`
	ExtraData        map[string]any   `json:"extra_data"`
}

// GradescopeTest is one of its tests, which is a row of the rubric. What was not judged has neither points nor a
// status.
type GradescopeTest struct {
	Score        *int     `json:"score,omitempty"`
	MaxScore     *int     `json:"max_score,omitempty"`
	Status       string   `json:"status,omitempty"` // passed or failed
	Name         string   `json:"name"`
	Number       string   `json:"number"` // the step of the lab, and which of its rows
	Output       string   `json:"output"`
	OutputFormat string   `json:"output_format"`
	Visibility   string   `json:"visibility"`
	Tags         []string `json:"tags"`
}

const (
	visible   = "visible"
	hidden    = "hidden"
	plainText = "text"
)

func newGradescope(s class.Submission, rows []rubric.Row) Gradescope {
	g := Gradescope{ExecutionTime: s.Seconds, Output: remarks(s, "en"), OutputFormat: plainText, Visibility: visible,
		StdoutVisibility: hidden, Tests: []GradescopeTest{},
		ExtraData: map[string]any{"verdict": s.Verdict, "hashes": s.Hashes}}
	got, of, given := s.Points(rows)
	if !given {
		return g
	}
	g.Score = &got
	ofStep := map[int]int{}
	for _, row := range rows {
		ofStep[row.Step]++
		g.Tests = append(g.Tests, gradescopeTest(s, row, fmt.Sprintf("%d.%d", row.Step, ofStep[row.Step])))
	}
	if s.Verdict == class.Graded {
		g.Output = strings.TrimSpace(fmt.Sprintf("%d of %d points.\n%s", got, of, g.Output))
	}
	if of < rubric.Total {
		g.Output += fmt.Sprintf("\n%d points could not be earned, because their tests could not run here.", rubric.Total-of)
	}
	return g
}

func gradescopeTest(s class.Submission, row rubric.Row, number string) GradescopeTest {
	found, judged := s.Row(row.ID)
	t := GradescopeTest{Name: row.Title.EN, Number: number, Output: report(s, row, found, "en"), OutputFormat: plainText,
		Visibility: visible, Tags: []string{row.ID, fmt.Sprintf("step %d", row.Step)}}
	points := 0
	switch {
	case found.Status == class.Skipped || found.Status == class.Error:
		t.Output = strings.TrimSpace("Not judged: " + t.Output)
		return t
	case !judged:
		t.Output = "Not reached: grading ended before this test."
	case found.Status == class.Passed:
		points = row.Points
	}
	t.Score, t.MaxScore, t.Status = &points, &row.Points, class.Failed
	if found.Status == class.Passed {
		t.Status = class.Passed
	}
	return t
}

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
