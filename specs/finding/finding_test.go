package finding_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

func TestPartsOfAFindingAreBounded(t *testing.T) {
	for _, text := range []string{strings.Repeat("\"\", ", 100_000), strings.Repeat("a line\n", 5_000), "x" + strings.Repeat("ñ", 100_000)} {
		part := finding.Same("%s", text)
		f := finding.Finding{Did: part, Wants: part, Saw: part, Cause: part}
		whole, brief := f.Text(rubric.Row{}, "en"), f.Brief(rubric.Row{}, "es", 80)
		if len(whole) > 20_000 || strings.Count(whole, "\n") > 200 || strings.Count(brief, "\n") > 25 || !utf8.ValidString(whole+brief) {
			t.Errorf("parts of %d bytes come to %d bytes in %d lines, %d lines in brief", len(text), len(whole),
				strings.Count(whole, "\n"), strings.Count(brief, "\n"))
		}
	}
	f := finding.Finding{Did: finding.Same("one\ntwo and more words than fit"), Facts: []finding.Fact{{Text: "a long line of a log"}}}
	if text := f.Text(rubric.Row{}, "en"); !strings.Contains(text, "one\n          two and more words than fit\n") {
		t.Errorf("a short part is not whole: %q", text)
	}
	if text := f.Whole(rubric.Row{}, "en", 30); !strings.Contains(text, "two and more words\n          than fit\n--- ") ||
		!strings.Contains(text, "a long line of a log") {
		t.Errorf("a whole finding is not laid out in columns, its facts as they are: %q", text)
	}
}
