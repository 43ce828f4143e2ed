package class

import "daemonlab/specs/rubric"

// Row returns what was found for a row of the rubric.
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
		if !given {
			of = rubric.Total
		}
		return *p, of, true
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
