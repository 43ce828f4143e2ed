package version_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"daemonlab/lab/version"
)

func TestTheChangeLogBeginsWithIt(t *testing.T) {
	changes, err := os.ReadFile("../../.github/CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## (\S+)`).FindSubmatch(changes)
	if newest == nil || string(newest[1]) != version.Number {
		t.Errorf("the change log begins with %q, the programs say %q", newest, version.Number)
	}
}

func TestProgramsSayIt(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	for program, dir := range map[string]string{"mqfiled": "server", "mqfile": "client", "specs": "specs/judge"} {
		file := filepath.Join(t.TempDir(), program)
		if out, err := exec.Command("go", "build", "-o", file, "../../"+dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := exec.Command(file, "--version").Output()
		if err != nil || string(out) != version.Line(program) {
			t.Errorf("%s --version: %q, %v", program, out, err)
		}
	}
}
