package harness

import "daemonlab/specs/finding"

// Finding is what a spec found wrong.
type Finding struct {
	Did, Wants, Saw, Cause string
}

// Value is the finding as it goes to the judge.
func (f Finding) Value() finding.Finding {
	return finding.Finding{Did: finding.Same("%s", f.Did), Wants: finding.Same("%s", f.Wants), Saw: finding.Same("%s", f.Saw),
		Cause: finding.Same("%s", f.Cause)}
}
