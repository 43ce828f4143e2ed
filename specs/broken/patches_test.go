package broken_test

import (
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

func TestParseRefusesWhatIsNotAsItShouldBe(t *testing.T) {
	const diff = "\n--- a/x\n+++ b/x\n"
	const head = "Fault: one\n  of two lines.\nKills: fds\n"
	const git = "\ndiff --git a/x b/x\nindex 3b18e51..a3d2f64 100644" // as git diff begins
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
