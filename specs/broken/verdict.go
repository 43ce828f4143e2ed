package broken

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Verdict is the outcome for one program.
type Verdict struct {
	Program Program
	Results []Result
	Skipped string // why it was not judged
	Err     error  // why it could not be
}

// Failed returns the rows that the program failed, except those hidden by the fault of another row.
func (v Verdict) Failed() (ids []string) {
	for _, r := range v.Results {
		if r.Status == "failed" && r.See() == "" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// NotJudged says why there is no verdict on the program, or on one of its rows.
func (v Verdict) NotJudged() (lines []string) {
	if v.Err != nil {
		return []string{v.Err.Error()}
	}
	for _, r := range v.Results {
		if r.Status == "error" {
			lines = append(lines, fmt.Sprintf("the suite could not judge %s: %s", r.ID, r.Said()))
		}
	}
	return lines
}

// Wrong says where the specs or the patch are not as they should be. It is empty if all is well.
func (v Verdict) Wrong() (lines []string) {
	lines = v.NotJudged()
	if v.Err != nil {
		return lines
	}
	failed, expected := v.Failed(), slices.Concat(v.Program.Kills, v.Program.May)
	for _, id := range v.Program.Kills {
		if !slices.Contains(failed, id) {
			lines = append(lines, "has not failed "+id)
		}
	}
	for _, r := range v.Results {
		if r.See() != "" && !slices.Contains(expected, r.See()) {
			lines = append(lines, fmt.Sprintf("hides %s by a fault of %s: %s", r.ID, r.See(), r.Said()))
		}
		if slices.Contains(failed, r.ID) && !slices.Contains(expected, r.ID) {
			lines = append(lines, fmt.Sprintf("has failed %s, too: %s", r.ID, r.Said()))
		}
	}
	return lines
}

// Matrix prints which rows each program has failed.
func Matrix(w io.Writer, verdicts []Verdict) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "program\tlanguage\tfailed\tverdict")
	broken, words := 0, map[string]int{}
	for _, v := range verdicts {
		if len(v.Program.Kills) > 0 {
			broken++
		}
		word, _, _ := strings.Cut(v.word(), ":")
		words[word]++
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", v.Program.Name, v.Program.Language, strings.Join(v.Failed(), " "), v.word())
	}
	table.Flush()
	fmt.Fprintf(w, "%d of %d broken programs killed by their own rows alone, %d of %d correct ones clean, %d skipped\n",
		words["killed"], broken, words["clean"], len(verdicts)-broken, words["skipped"])
}

func (v Verdict) word() string {
	switch {
	case v.Skipped != "":
		return "skipped: " + v.Skipped
	case v.Err != nil:
		return "NOT JUDGED"
	case len(v.Wrong()) > 0:
		return "WRONG"
	case len(v.Program.Kills) == 0:
		return "clean"
	}
	return "killed"
}
