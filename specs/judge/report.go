package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"daemonlab/specs/rubric"
)

// report is the result as JSON. A row that was skipped counts neither in score nor in max.
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

var marks = map[string]string{
	statusPassed: "ok", statusFailed: "FAILED", statusSkipped: "skipped", statusError: "SUITE ERROR",
}

// print shows what is wrong with the evidence, then a table by step.
func (r report) print(w io.Writer, lang string) {
	for _, s := range r.Specs {
		if s.Status == statusFailed || s.Status == statusError {
			fmt.Fprintf(w, "%s %s: %s\n\n", marks[s.Status], s.ID, indent(s.Evidence))
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "step\tid\tpoints\tresult\t")
	for _, s := range r.Specs {
		mark := marks[s.Status]
		if s.See != "" {
			mark = "see " + s.See
		}
		fmt.Fprintf(table, "%d\t%s\t%d/%d\t%s\t%s\n", s.Step, s.ID, s.Points, s.Max, mark, title(s.row, lang))
	}
	table.Flush()
	for _, s := range r.Specs {
		for _, why := range s.skipped {
			fmt.Fprintf(w, "skipped of %s: %s\n", s.ID, why)
		}
		for _, note := range s.notes {
			fmt.Fprintf(w, "of %s: %s\n", s.ID, note)
		}
	}
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped, %d not judged: %d of %d points\n", r.count(statusPassed),
		r.count(statusFailed), r.count(statusSkipped), r.count(statusError), r.Score, r.Max)
}

func indent(text string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

func title(row rubric.Row, lang string) string {
	if lang == "es" {
		return row.Title.ES
	}
	return row.Title.EN
}

func list(w io.Writer, rows []rubric.Row, lang string) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(table, "%d\t%s\t%d\t%s\n", r.Step, r.ID, r.Points, title(r, lang))
	}
	table.Flush()
}
