package formats

import (
	"fmt"
	"strings"

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
