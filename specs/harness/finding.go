package harness

import (
	"fmt"
	"strings"
)

// Finding is what a spec found wrong. It is written for the person whose program it is.
type Finding struct {
	Did   string // what the spec did
	Wants string // what the contract wants
	Saw   string // the evidence, as the kernel shows it
	Cause string // what probably causes it; empty: nothing likelier than the row's hint
}

// Format lays a finding out below the row's title, with the row's hint as what to do.
func (f Finding) Format(id string, step int, title, hint string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s, step %d] %s\n", id, step, title)
	for _, part := range []struct{ name, text string }{
		{"did", f.Did}, {"wanted", f.Wants}, {"saw", f.Saw}, {"likely", f.Cause}, {"do", hint},
	} {
		if part.text != "" {
			fmt.Fprintf(&b, "  %-7s %s\n", part.name+":", strings.ReplaceAll(bounded(part.text), "\n", "\n          "))
		}
	}
	return b.String()
}

// What a program has a part of a finding show is bounded, in lines and bytes: nobody reads more.
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

// NotJudged is the name of the report entry by which a spec says that this machine, as it is now, shows nothing of a
// program, and why; Noted is one for what a spec says of how it judged.
const (
	NotJudged = "not judged"
	Noted     = "noted"
)

// HiddenBy is the name of the report entry by which a spec says which other row's fault keeps it from judging its own.
const HiddenBy = "hidden by"

// IsFinding tells a finding, which is the program's fault, from whatever else a spec may fail with.
func IsFinding(message string) bool {
	return strings.HasPrefix(message, "[") && strings.Contains(message, ", step ")
}
