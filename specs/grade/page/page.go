// Package page makes index.html of a class: one file for browsers, paper and screen readers, in English and Spanish. It
// loads nothing from outside, and works without its script, which adds sorting and filtering.
package page

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

//go:embed page.html
var layout string

//go:embed page.css
var style template.CSS

//go:embed page.js
var script template.JS

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"t":     func(en, es string) template.HTML { return both(rubric.Text{EN: en, ES: es}) },
	"both":  both,
	"plain": finding.Plain,
}).Parse(layout))

// both returns the text in both languages; the style sheet hides one.
func both(text rubric.Text) template.HTML {
	plain := func(text string) string { return template.HTMLEscapeString(finding.Plain(text)) }
	return template.HTML(`<span lang="en">` + plain(text.EN) + `</span><span lang="es">` + plain(text.ES) + `</span>`)
}

// Write writes index.html into a results directory.
func Write(out string, c class.Class) error {
	hash := sha256.Sum256([]byte(script))
	var b bytes.Buffer
	err := page.Execute(&b, struct {
		view
		Style      template.CSS
		Script     template.JS
		ScriptHash string
	}{newView(c), style, script, base64.StdEncoding.EncodeToString(hash[:])})
	if err != nil {
		return err
	}
	return tool.WriteFile(filepath.Join(out, "index.html"), b.Bytes(), false)
}

// view is the data of the page.
type view struct {
	class.Class
	Began, Took string
	Runs        int
	Steps       []step
	Verdicts    []count
	Totals      totals
	Rates       []rate
	Clean       []string // ids of rows that nobody failed
	Looks       []submission
	Submissions []submission
}

// step is a group of columns.
type step struct {
	Number, Columns int
}

// count is the number of submissions with a verdict.
type count struct {
	status
	N int
}

// rate is the failure rate of a row among those it was judged for.
type rate struct {
	Row                   rubric.Row
	Failed, Judged, Of100 int
}

// cell is a cell of the heat map.
type cell struct {
	status
	Target string // id of the evidence, if any
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
	Told             rubric.Text // how it ended and why, if there is more to say
}

// shown is a row that did not pass, with its evidence.
type shown struct {
	status
	ID           string
	Row          rubric.Row
	Passes, Runs int // shown if it is unsteady
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
	for i, s := range c.Submissions { // after those that a command helps with
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
	v.Given = v.Given && (s.Verdict == class.Graded || !s.Undecided())
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

// totals is the distribution of points, in percent of the attainable.
type totals struct {
	N                      int
	Mean                   string
	Least, Q1, Q2, Q3, Top int
	Bins                   []bin
	MedianX                int
}

// bin is a bar of the histogram, in drawing coordinates.
type bin struct {
	Label                       string
	N                           int
	X, Y, Width, Height, Middle int
}

// Units of the drawing; the style sheet scales it.
const (
	binWidth  = 48
	binGap    = 6
	barHeight = 120
	binCount  = 11 // tens, and 100 separately
)

func newTotals(c class.Class) totals {
	var all []int
	sum := 0
	for _, s := range c.Submissions {
		if got, of, given := s.Points(c.Rubric); given && !s.Undecided() {
			all = append(all, percent(got, of))
			sum += percent(got, of)
		}
	}
	t := totals{N: len(all), Bins: bins(all)}
	if t.N == 0 {
		return t
	}
	slices.Sort(all)
	at := func(quarter int) int { // interpolated
		i, part := (t.N-1)*quarter/4, (t.N-1)*quarter%4
		if part == 0 {
			return all[i]
		}
		return all[i] + ((all[i+1]-all[i])*part+2)/4
	}
	t.Least, t.Q1, t.Q2, t.Q3, t.Top = at(0), at(1), at(2), at(3), at(4)
	t.Mean = fmt.Sprintf("%.1f", float64(sum)/float64(t.N))
	t.MedianX = t.Q2 * binWidth / 10
	return t
}

func bins(all []int) []bin {
	drawn := make([]bin, binCount)
	most := 1
	for _, percent := range all {
		b := &drawn[percent/10]
		b.N++
		most = max(most, b.N)
	}
	for i := range drawn {
		b := &drawn[i]
		b.Label = fmt.Sprintf("%d–%d", i*10, i*10+9)
		b.X, b.Width = i*binWidth+binGap/2, binWidth-binGap
		b.Height = b.N * barHeight / most
		b.Y = barHeight - b.Height
		b.Middle = b.X + b.Width/2
	}
	drawn[binCount-1].Label = "100"
	return drawn
}

var verdictOrder = []class.Verdict{class.Graded, class.NoBuild, class.Timeout, class.GraderFailed, class.NotOne}

var verdictNames = map[class.Verdict]rubric.Text{
	class.Graded:       {EN: "graded", ES: "evaluada"},
	class.NoBuild:      {EN: "does not build", ES: "no compila"},
	class.Timeout:      {EN: "time-out", ES: "tiempo agotado"},
	class.GraderFailed: {EN: "grader failed", ES: "falló el evaluador"},
	class.NotOne:       {EN: "not a submission", ES: "no es una entrega"},
}

var verdictNamesOfMany = map[class.Verdict]rubric.Text{
	class.Graded:       {EN: "graded", ES: "evaluadas"},
	class.NoBuild:      {EN: "do not build", ES: "no compilan"},
	class.Timeout:      {EN: "timed out", ES: "con el tiempo agotado"},
	class.GraderFailed: {EN: "not judged: the grader failed", ES: "sin evaluar: falló el evaluador"},
	class.NotOne:       {EN: "not submissions", ES: "no son entregas"},
}

// status is how a row is displayed: a class of the style sheet, a sign that needs no colour, and a word.
type status struct {
	Class, Glyph string
	Name         rubric.Text
}

var (
	passed   = status{"p", "✓", rubric.Text{EN: "passed", ES: "superada"}}
	failed   = status{"f", "✗", rubric.Text{EN: "failed", ES: "fallida"}}
	unsteady = status{"u", "◐", rubric.Text{EN: "passed in some runs only", ES: "superada solo en algunas ejecuciones"}}
	skipped  = status{"s", "–", rubric.Text{EN: "skipped: counts neither way", ES: "omitida: no cuenta"}}
	suite    = status{"e", "!", rubric.Text{EN: "not judgeable: counts neither way", ES: "no evaluable: no cuenta"}}
	nothing  = status{"n", "\u00a0", rubric.Text{EN: "not reached", ES: "no se llegó a ella"}}
)

// Legend lists the statuses in the script's sort order.
func (view) Legend() []status {
	return []status{failed, unsteady, nothing, suite, skipped, passed}
}

func statusOf(s class.Submission, found class.Row, judged bool) status {
	switch {
	case !judged:
		return nothing
	case s.Unsteady(found):
		return unsteady
	}
	switch found.Status {
	case class.Passed:
		return passed
	case class.Skipped:
		return skipped
	case class.Error:
		return suite
	}
	return failed
}
