package harness_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"daemonlab/specs/harness"
)

func TestPartsOfAFindingAreBounded(t *testing.T) {
	for _, text := range []string{strings.Repeat("\"\", ", 100_000), strings.Repeat("a line\n", 5_000), "x" + strings.Repeat("ñ", 100_000)} {
		f := harness.Finding{Did: text, Wants: text, Saw: text, Cause: text}.Format("env", 4, "title", "hint")
		if len(f) > 20_000 || strings.Count(f, "\n") > 200 || !utf8.ValidString(f) {
			t.Errorf("parts of %d bytes come to %d bytes in %d lines", len(text), len(f), strings.Count(f, "\n"))
		}
	}
	f := harness.Finding{Did: "one\ntwo"}.Format("env", 4, "title", "hint")
	if !strings.Contains(f, "one\n          two\n") {
		t.Errorf("a short part is not whole: %q", f)
	}
}
