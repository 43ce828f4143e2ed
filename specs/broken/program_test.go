package broken_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"daemonlab/specs/broken"
	"daemonlab/specs/rubric"
)

func load(t *testing.T) []broken.Program {
	programs, err := broken.Load(".")
	must(t, err)
	return programs
}

func TestPatchesApply(t *testing.T) {
	for _, p := range load(t) {
		if err := p.Copy(ctx, project, t.TempDir()); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}

func TestEveryRowIsFailedBySomeProgram(t *testing.T) {
	programs := load(t)
	for _, row := range rubric.Standard() {
		if !slices.ContainsFunc(programs, func(p broken.Program) bool { return slices.Contains(p.Kills, row.ID) }) {
			t.Errorf("no program fails %s", row.ID)
		}
	}
}

func TestParseRejectsMalformedPatches(t *testing.T) {
	const diff = "\n--- a/x\n+++ b/x\n"
	const head = "Fault: one\n  of two lines.\nKills: fds\n"
	const git = "\ndiff --git a/x b/x\nindex 3b18e51..a3d2f64 100644" // from git diff
	p, err := broken.Parse("right", []byte(head+git+diff))
	if err != nil || p.Fault != "one of two lines." || !slices.Equal(p.Kills, []string{"fds"}) || p.Program != "server" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, content := range []string{
		"",
		head,
		"Kills: fds\n" + diff,
		"Fault: x\nKills: output\n" + diff,
		head + "\n--- a/client/x\n+++ b/client/x\n",
		head + "Needs: luck\n" + diff,
		head + "Note: x\n" + diff,
	} {
		if p, err := broken.Parse("wrong", []byte(content)); err == nil {
			t.Errorf("%q was read as %+v", content, p)
		}
	}
}

func TestLanguagesNameTheMissingCompiler(t *testing.T) {
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
