package class

import "strings"

// mostShown bounds what is shown of a row's evidence, in bytes.
const mostShown = 16 << 10

// Shown is the evidence fit to be shown.
func (r Row) Shown() string {
	if len(r.Evidence) <= mostShown {
		return Plain(r.Evidence)
	}
	cut := strings.ToValidUTF8(r.Evidence[:mostShown], "")
	return Plain(cut) + "\n... (" + submissionFile + " has all of it)"
}

// Finding divides the evidence of a row as the specs write it, fit to be shown: what was done, wanted and seen, and
// after an empty line what /proc and the logs showed then.
func (r Row) Finding() (finding, rest string) {
	finding, rest, _ = strings.Cut(r.Shown(), "\n\n")
	return strings.Trim(finding, "\n"), strings.Trim(rest, "\n")
}

// Unsteady tells that the row passed in some runs of a submission and not in others.
func (s Submission) Unsteady(r Row) bool {
	return r.Status == Failed && r.Passes > 0
}
