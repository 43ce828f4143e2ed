package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// report is the result as JSON. Skipped rows count neither in score nor in max.
type report struct {
	Score int      `json:"score"`
	Max   int      `json:"max"`
	Specs []result `json:"specs"`
}

func newReport(results []result) report {
	r := report{Specs: results}
	for _, s := range results {
		r.Score += s.Points
		if s.Status != statusSkipped {
			r.Max += s.Max
		}
	}
	return r
}

func (r report) write(file string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o644)
}

func (r report) count(status string) (n int) {
	for _, s := range r.Specs {
		if s.Status == status {
			n++
		}
	}
	return n
}

func (r report) exitStatus() int {
	switch {
	case r.count(statusError) > 0:
		return exitError
	case r.count(statusFailed) > 0:
		return exitFailed
	}
	return exitPassed
}

// skips returns why specs were skipped, in the order of the rows, and in which rows.
func (r report) skips() (reasons []rubric.Text, in map[rubric.Text][]string) {
	in = map[rubric.Text][]string{}
	for _, s := range r.Specs {
		for _, why := range s.skipped {
			if in[why] == nil {
				reasons = append(reasons, why)
			}
			if !slices.Contains(in[why], s.ID) {
				in[why] = append(in[why], s.ID)
			}
		}
	}
	return reasons, in
}

// print shows a table by step, with what was seen for each failed row, and then the first failed row in detail: one
// fault at a time is enough for its author. With all, every failure is shown in full.
func (r report) print(o options) {
	columns, _ := tool.TerminalSize()
	tell := func(before string, text rubric.Text) {
		fmt.Println(before + strings.Join(finding.Fold(text.In(o.lang), columns), "\n"))
	}
	r.table(o.lang, columns)
	reasons, skippedIn := r.skips()
	for _, why := range reasons {
		tell("", finding.Say("skipped in %s: %v", strings.Join(skippedIn[why], ", "), why))
	}
	for _, s := range r.Specs {
		for _, note := range s.notes {
			tell("", finding.Say("note on %s: %v", s.ID, note))
		}
	}
	failed := r.failed()
	for i, s := range failed {
		if i == 0 || o.verbose {
			fmt.Print("\n", s.text(o.lang, o.verbose, columns))
		}
	}
	if len(failed) > 1 && !o.verbose {
		tell("\n", finding.Say("%d more failed; --id ID shows one in full, --verbose all", len(failed)-1))
	}
	tell("\n", finding.Say("%d passed, %d failed, %d skipped, %d not judged: %d of %d points", r.count(statusPassed),
		r.count(statusFailed), r.count(statusSkipped), r.count(statusError), r.Score, r.Max))
}

// failed returns the rows that failed, those with something seen first.
func (r report) failed() (failed []result) {
	for _, s := range r.Specs {
		if s.Status == statusFailed || s.Status == statusError {
			failed = append(failed, s)
		}
	}
	slices.SortStableFunc(failed, func(a, b result) int { return rank(a) - rank(b) })
	return failed
}

func rank(s result) int {
	if s.Finding != nil && s.Finding.See == "" {
		return 0
	}
	return 1
}

// isToMend is false if another row has to be mended first.
func (s result) isToMend() bool {
	return s.Status == statusError || s.Status == statusFailed && (s.Finding == nil || s.Finding.See == "")
}

var marks = map[string]rubric.Text{
	statusPassed:  {EN: "ok", ES: "bien"},
	statusFailed:  {EN: "FAILED", ES: "MAL"},
	statusSkipped: {EN: "skipped", ES: "omitida"},
	statusError:   {EN: "SUITE ERROR", ES: "ERROR DE LAS PRUEBAS"},
}

func (r report) table(lang string, columns int) {
	var lines strings.Builder
	table := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, finding.Say("step\tid\tpoints\tresult\t").In(lang))
	for _, s := range r.Specs {
		mark := marks[s.Status]
		if s.Finding != nil && s.Finding.See != "" {
			mark = finding.Say("see %s", s.Finding.See)
		}
		fmt.Fprintf(table, "%d\t%s\t%d/%d\t%s\t%s\n", s.Step, s.ID, s.Points, s.Max, mark.In(lang), s.line(lang))
	}
	table.Flush()
	for line := range strings.Lines(lines.String()) {
		fmt.Println(finding.Clip(strings.TrimRight(line, " \n"), columns))
	}
}

// line is a row's line in the table: its title, or what was seen instead.
func (s result) line(lang string) string {
	switch {
	case s.Finding != nil:
		return s.Finding.Line(lang, maxLine)
	case s.Status == statusFailed || s.Status == statusError:
		return finding.Clip(strings.Join(strings.Fields(finding.Plain(s.Why.In(lang))), " "), maxLine)
	}
	return s.row.Title.In(lang)
}

const maxLine = 200

func (s result) text(lang string, whole bool, columns int) string {
	head := finding.Say("%v %s (step %d): %v", marks[s.Status], s.ID, s.Step, s.row.Title).In(lang)
	head = strings.Join(finding.Fold(head, columns), "\n  ") + "\n"
	switch {
	case s.Finding == nil:
		return head + "  " + strings.ReplaceAll(strings.TrimRight(finding.Plain(s.Why.In(lang)), "\n"), "\n", "\n  ") + "\n"
	case whole:
		return head + s.Finding.Whole(s.row, lang, columns)
	}
	return head + s.Finding.Brief(s.row, lang, columns)
}

func list(rows []rubric.Row, lang string) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(table, "%d\t%s\t%d\t%s\n", r.Step, r.ID, r.Points, r.Title.In(lang))
	}
	table.Flush()
}
