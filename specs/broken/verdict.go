package broken

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Verdict is what has become of one program.
type Verdict struct {
	Program Program
	Results []Result
	Skipped string // why it was not judged
	Err     error  // why it could not be
}

// Failed are the rows that the program has failed, but for those that the fault of another one hides.
func (v Verdict) Failed() (ids []string) {
	for _, r := range v.Results {
		if r.Status == "failed" && r.See() == "" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// NotJudged says why there is no verdict on the program, or on a row of it.
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

// Wrong says where the specs, or the patch, are not what they should be. It is empty when all is well.
func (v Verdict) Wrong() (lines []string) {
	if v.Err != nil {
		return v.NotJudged()
	}
	lines = v.NotJudged()
	failed := v.Failed()
	for _, id := range v.Program.Kills {
		if !slices.Contains(failed, id) {
			lines = append(lines, "has not failed "+id)
		}
	}
	for _, r := range v.Results {
		if r.See() != "" && !slices.Contains(v.Program.Kills, r.See()) && !slices.Contains(v.Program.May, r.See()) {
			lines = append(lines, fmt.Sprintf("hides %s by a fault of %s: %s", r.ID, r.See(), r.Said()))
		}
		if r.Status == "failed" && r.See() == "" && !slices.Contains(v.Program.Kills, r.ID) && !slices.Contains(v.Program.May, r.ID) {
			lines = append(lines, fmt.Sprintf("has failed %s, too: %s", r.ID, r.Said()))
		}
	}
	return lines
}

// Matrix prints which rows each program has failed.
func Matrix(w io.Writer, verdicts []Verdict) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "program\tlanguage\tfailed\tverdict")
	broken, killed, correct, clean, skipped := 0, 0, 0, 0, 0
	for _, v := range verdicts {
		skipped += count(v.Skipped != "")
		well := v.Skipped == "" && len(v.Wrong()) == 0
		if len(v.Program.Kills) > 0 {
			broken++
			killed += count(well)
		} else {
			correct++
			clean += count(well)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", v.Program.Name, v.Program.Language, strings.Join(v.Failed(), " "), v.word())
	}
	table.Flush()
	fmt.Fprintf(w, "%d of %d broken programs killed by their own rows alone, %d of %d correct ones clean, %d skipped\n",
		killed, broken, clean, correct, skipped)
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
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
