package class

import (
	"strings"

	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// mostShown bounds what is shown of a row, in bytes.
const mostShown = 16 << 10

// Report says in a language what was found of a row that did not pass, fit to be shown: the finding with the hint, then
// what /proc and the logs showed.
func (r Row) Report(row rubric.Row, lang string) string {
	text := finding.Plain(r.Why.In(lang))
	if r.Finding != nil {
		text = r.Finding.Whole(row, lang, 0)
	}
	return bounded(text)
}

// Shown is the same in both languages for a page that has the hint elsewhere, the facts apart.
func (r Row) Shown() (text rubric.Text, facts []finding.Fact) {
	if r.Finding == nil {
		return rubric.Text{EN: bounded(finding.Plain(r.Why.EN)), ES: bounded(finding.Plain(r.Why.ES))}, nil
	}
	withoutHint := *r.Finding
	withoutHint.Do = rubric.Text{}
	text = rubric.Text{EN: bounded(withoutHint.Text(rubric.Row{}, "en")), ES: bounded(withoutHint.Text(rubric.Row{}, "es"))}
	for _, fact := range r.Finding.Facts {
		facts = append(facts, finding.Fact{Of: fact.Of, Text: bounded(finding.Plain(fact.Text))})
	}
	return text, facts
}

func bounded(text string) string {
	if len(text) <= mostShown {
		return text
	}
	return strings.ToValidUTF8(text[:mostShown], "") + "\n... (" + submissionFile + " has all of it)"
}

// Unsteady reports whether the row passed in some runs of a submission and not in others.
func (s Submission) Unsteady(r Row) bool {
	return r.Status == Failed && r.Passes > 0
}
