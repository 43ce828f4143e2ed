package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// view is what the page shows, computed.
type view struct {
	class.Class
	Began, Took string
	Runs        int
	Steps       []step
	Verdicts    []count
	Totals      totals
	Rates       []rate
	Clean       []string // ids that nobody failed
	Looks       []submission
	Submissions []submission
}

// step is a group of columns.
type step struct {
	Number, Columns int
}

// count is how many submissions ended with a verdict.
type count struct {
	status
	N int
}

// rate is how often a row was failed by those whom it was judged of.
type rate struct {
	Row                   rubric.Row
	Failed, Judged, Of100 int
}

// cell is a field of the heat map.
type cell struct {
	status
	Target string // id of the evidence, if there is any
	First  bool   // of its step
}

type submission struct {
	class.Submission
	ID, Name, Folder string
	Verdict          status
	Given            bool
	Got, Of, Of100   int
	Cells            []cell
	Failed           []string
	Passed           []string
	Findings         []shown
	Told             rubric.Text // how it ended and why, if there is more to say than that
}

// shown is a row that did not pass, with what shows it.
type shown struct {
	status
	ID           string
	Row          rubric.Row
	Passes, Runs int // told if it came and went
	Text, Hint   rubric.Text
	Facts        []finding.Fact
}

func newView(c class.Class) view {
	v := view{Class: c, Began: c.Began.UTC().Format("2006-01-02 15:04 UTC"),
		Took: c.Ended.Sub(c.Began).Round(time.Second).String(), Steps: steps(c.Rubric), Verdicts: verdicts(c),
		Totals: newTotals(c)}
	for i, s := range c.Submissions {
		v.Submissions = append(v.Submissions, newSubmission(i, s, c.Rubric))
		v.Runs = max(v.Runs, s.Runs)
		if len(s.Look) > 0 || s.Trial != nil {
			v.Looks = append(v.Looks, v.Submissions[i])
		}
	}
	for i, s := range c.Submissions { // after what a command helps with
		if s.Look == nil && s.Trial == nil && (s.Verdict == class.GraderFailed || s.Verdict == class.NotOne) {
			v.Looks = append(v.Looks, v.Submissions[i])
		}
	}
	v.Rates, v.Clean = rates(c)
	return v
}

func steps(rows []rubric.Row) []step {
	var all []step
	for _, row := range rows {
		if len(all) == 0 || all[len(all)-1].Number != row.Step {
			all = append(all, step{Number: row.Step})
		}
		all[len(all)-1].Columns++
	}
	return all
}

func verdicts(c class.Class) []count {
	var counts []count
	for _, v := range verdictOrder {
		if n := c.Count(v); n > 0 {
			counts = append(counts, count{status{Class: string(v), Name: verdictNamesOfMany[v]}, n})
		}
	}
	return counts
}

func newSubmission(i int, s class.Submission, rows []rubric.Row) submission {
	v := submission{Submission: s, ID: fmt.Sprintf("s%d", i+1), Name: s.Name.String(), Folder: s.Name.Folder(),
		Verdict: status{Class: string(s.Verdict), Name: verdictNames[s.Verdict]}, Told: told(s)}
	v.Got, v.Of, v.Given = s.Points(rows)
	v.Of100 = percent(v.Got, v.Of)
	last := 0
	for _, row := range rows {
		found, judged := s.Row(row.ID)
		st := statusOf(s, found, judged)
		field := cell{status: st, First: row.Step != last}
		last = row.Step
		switch {
		case found.Status == class.Passed:
			v.Passed = append(v.Passed, row.ID)
		case judged:
			field.Target = v.ID + "-" + row.ID
			f := shown{status: st, ID: field.Target, Row: row, Hint: row.Hint}
			f.Text, f.Facts = found.Shown()
			if found.Finding != nil {
				f.Hint = found.Finding.Hint(row)
			}
			if s.Unsteady(found) {
				f.Passes, f.Runs = found.Passes, s.Runs
			}
			v.Findings = append(v.Findings, f)
		}
		if found.Status == class.Failed {
			v.Failed = append(v.Failed, row.ID)
		}
		v.Cells = append(v.Cells, field)
	}
	return v
}

func told(s class.Submission) rubric.Text {
	lead := func(verdict, why string) string {
		if why == "" || strings.HasPrefix(why, verdict) {
			return why
		}
		return verdict + ": " + why
	}
	name := verdictNames[s.Verdict]
	return rubric.Text{EN: lead(name.EN, cmp.Or(s.Notes.EN, s.Why)), ES: lead(name.ES, cmp.Or(s.Notes.ES, s.Why))}
}

func rates(c class.Class) (all []rate, clean []string) {
	for _, row := range c.Rubric {
		r := rate{Row: row}
		for _, s := range c.Submissions {
			found, _ := s.Row(row.ID)
			switch found.Status {
			case class.Passed:
				r.Judged++
			case class.Failed:
				r.Judged++
				r.Failed++
			}
		}
		r.Of100 = percent(r.Failed, r.Judged)
		if r.Failed == 0 {
			clean = append(clean, row.ID)
			continue
		}
		all = append(all, r)
	}
	slices.SortStableFunc(all, func(a, b rate) int { return b.Failed*a.Judged - a.Failed*b.Judged })
	return all, clean
}

func percent(part, whole int) int {
	if whole == 0 {
		return 0
	}
	return int(math.Round(100 * float64(part) / float64(whole)))
}
