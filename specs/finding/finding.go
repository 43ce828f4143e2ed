// Package finding represents what the specs say of a program as values: they go from the spec to the judge, the grader
// and the class page unchanged, and become text once, in the reader's language.
package finding

import (
	"fmt"
	"strings"

	"daemonlab/specs/rubric"
)

// Finding is what a spec found wrong. It is written for the program's author.
type Finding struct {
	Did   rubric.Text `json:"did"`             // what the spec did
	Wants rubric.Text `json:"wants"`           // what the contract asks
	Saw   rubric.Text `json:"saw"`             // the evidence, as the kernel shows it
	Cause rubric.Text `json:"cause,omitzero"`  // the probable cause; empty: nothing likelier than the row's hint
	Do    rubric.Text `json:"do,omitzero"`     // what to do, where the row's hint would mislead
	See   string      `json:"see,omitempty"`   // the row whose fault this is and which hides this one
	Hangs bool        `json:"hangs,omitempty"` // the start did not return
	Facts []Fact      `json:"facts,omitempty"` // further evidence from the kernel and the program
}

// Fact is evidence in no language: a file of /proc, the end of a log, output on stderr.
type Fact struct {
	Of   rubric.Text `json:"of"`
	Text string      `json:"text"`
}

// Names of the report entries that carry values through Ginkgo's report: a [Finding], its facts, and a [rubric.Text]
// that says why a spec judged nothing, or how it judged.
const (
	Entry     = "finding"
	Facts     = "facts" // a list of [Fact], for the finding of the same spec
	Skipped   = "skipped"
	NotJudged = "not judged" // this machine, as it is now, shows nothing of the program
	Noted     = "noted"
)

// labels stand before the parts of a finding.
var labels = map[string][5]string{
	"en": {"did", "asked", "saw", "likely", "do"},
	"es": {"se hizo", "se pide", "se vio", "quizá", "haz"},
}

// brief is how many lines of each part are shown when there are other findings.
var brief = [5]int{3, 3, 9, 4, 5}

// Brief formats a finding and the row's hint in at most 24 lines of the given width.
func (f Finding) Brief(row rubric.Row, lang string, columns int) string {
	return f.layOut(row, lang, columns, brief)
}

// Whole formats a finding and the row's hint in the given width, 0 meaning any, with all facts unchanged.
func (f Finding) Whole(row rubric.Row, lang string, columns int) string {
	text := f.layOut(row, lang, columns, [5]int{})
	for _, fact := range f.Facts {
		text += fmt.Sprintf("--- %s\n%s\n", fact.Of.In(lang), strings.TrimRight(Plain(fact.Text), "\n"))
	}
	return text
}

// Line returns what was seen, as far as it fits on one line.
func (f Finding) Line(lang string, columns int) string {
	return Clip(strings.Join(strings.Fields(Plain(f.Saw.In(lang))), " "), columns)
}

// Hint returns what to do: the row's hint unless the finding has a better one.
func (f Finding) Hint(row rubric.Row) rubric.Text {
	if f.Do.EN != "" || f.See != "" {
		return f.Do
	}
	return row.Hint
}

// layOut writes the parts that are not empty, each in at most the given number of lines; 0 means no limit.
func (f Finding) layOut(row rubric.Row, lang string, columns int, most [5]int) string {
	var b strings.Builder
	width := 0
	for _, label := range labels[lang] {
		width = max(width, len([]rune(label)))
	}
	margin := strings.Repeat(" ", width+4)
	for i, part := range []rubric.Text{f.Did, f.Wants, f.Saw, f.Cause, f.Hint(row)} {
		text := strings.TrimRight(Plain(bounded(part.In(lang))), "\n")
		if text == "" {
			continue
		}
		lines := strings.Split(text, "\n")
		if columns > 0 {
			lines = nil
			for _, line := range strings.Split(text, "\n") {
				lines = append(lines, Fold(line, max(columns-len(margin), 20))...)
			}
		}
		if n := most[i]; n > 0 && len(lines) > n {
			lines = append(lines[:n-1], "…")
		}
		label := labels[lang][i] + ":"
		fmt.Fprintf(&b, "  %s%s%s\n", label, strings.Repeat(" ", len(margin)-2-len([]rune(label))), strings.Join(lines, "\n"+margin))
	}
	return b.String()
}

// Limits, in lines and bytes, on what a program can put into a finding.
const (
	maxPartLines = 30
	maxPart      = 3000
)

func bounded(text string) string {
	lines := strings.SplitAfterN(text, "\n", maxPartLines+1)
	short := strings.Join(lines[:min(len(lines), maxPartLines)], "")
	if len(short) > maxPart {
		short = strings.ToValidUTF8(short[:maxPart], "")
	}
	if len(short) == len(text) {
		return text
	}
	return fmt.Sprintf("%s ... (%d bytes in all)", strings.TrimRight(short, "\n"), len(text))
}
