package broken_test

import (
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
	for _, p := range programs {
		if p.Missing() == "" {
			t.Errorf("%s: nothing is missing where there is no command at all", p.Name)
		}
	}
}
