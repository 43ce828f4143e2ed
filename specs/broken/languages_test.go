package broken_test

import (
	"os"
	"path/filepath"
	"testing"

	"daemonlab/specs/broken"
)

func TestAProgramInAnotherLanguageNamesWhatItIsSkippedFor(t *testing.T) {
	programs, err := broken.Languages("languages")
	must(t, err)
	languages := map[string]bool{}
	for _, p := range programs {
		languages[p.Language] = true
	}
	if len(languages) < 2 || len(programs) != 2*len(languages) {
		t.Errorf("%d programs in %d languages, not a server and a client in each of two or more", len(programs), len(languages))
	}
	t.Setenv("PATH", t.TempDir())
	must(t, os.WriteFile(filepath.Join(os.Getenv("PATH"), "make"), nil, 0o755))
	want := map[string]string{"cpp": "g++", "python": "python3"}
	for _, p := range programs {
		if got := p.Missing(); got != want[p.Language] {
			t.Errorf("%s: where there is only make, %q is missing instead of %q", p.Name, got, want[p.Language])
		}
	}
}
