package main

import (
	"fmt"
	"strings"

	"daemonlab/specs/grade/class"
)

// merge adds the rows of one more run. A row counts only if it was judged in each, and passes only if it did in each.
func (a *attempt) merge(run []class.Row) {
	for i := range run {
		if run[i].Status == class.Passed {
			run[i].Passes = 1
		}
	}
	if a.Runs == 1 {
		a.Rows = run
		return
	}
	var merged []class.Row
	for _, before := range a.Rows {
		if after, has := (class.Submission{Rows: run}).Row(before.ID); has {
			merged = append(merged, join(before, after))
		}
	}
	a.Rows = merged
}

// worse orders what the runs of a row can end with: the worst counts.
var worse = map[string]int{class.Passed: 0, class.Skipped: 1, class.Error: 2, class.Failed: 3}

func join(before, after class.Row) class.Row {
	joined := before
	if before.Status == class.Passed {
		joined.Finding, joined.Why = after.Finding, after.Why
	}
	if worse[after.Status] > worse[before.Status] {
		joined.Status = after.Status
	}
	joined.Passes += after.Passes
	joined.Seconds += after.Seconds
	return joined
}

// checkJudged takes the grade back when the judge failed at a row, also alone: points would be less than are due.
func (a *attempt) checkJudged() error {
	var failed []string
	for _, row := range a.Rows {
		if row.Status == class.Error {
			failed = append(failed, row.ID)
		}
	}
	if failed != nil {
		return fmt.Errorf("the specs could not judge %s; see the evidence", strings.Join(failed, ", "))
	}
	return nil
}
