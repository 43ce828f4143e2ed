package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/class/classtest"
	"daemonlab/specs/grade/results"
	"daemonlab/specs/rubric"
)

// said is what the command says, with its exit status.
func said(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(kit, "grade"), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir} // no variables of a cluster
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

func publish(t *testing.T, c class.Class) string {
	t.Helper()
	dir := t.TempDir()
	must(t, results.Publish(dir, c))
	return dir
}

func rubricFile(t *testing.T, rows []rubric.Row) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rubric.json")
	content, err := json.Marshal(rows)
	must(t, err)
	must(t, os.WriteFile(file, content, 0o644))
	return file
}

func TestRescoreAndMergeFromTheCommandLine(t *testing.T) {
	whole := classtest.Class(6)
	first, second := whole, whole
	first.Submissions, second.Submissions = whole.Submissions[:3], whole.Submissions[3:]
	parts := []string{publish(t, first), publish(t, second)}

	rows := rubric.Standard()
	rows[0].Points, rows[1].Points = rows[0].Points+1, rows[1].Points-1
	weights := rubricFile(t, rows)
	for _, part := range parts {
		if text, status := said(t, "--rescore", part, "--rubric", weights); status != 0 {
			t.Fatalf("--rescore ends with %d: %s", status, text)
		}
	}
	out := filepath.Join(t.TempDir(), "whole")
	text, status := said(t, append([]string{"--out", out, "--merge"}, parts...)...)
	if status != 0 || !strings.Contains(text, "6 in all:") {
		t.Errorf("--merge ends with %d: %s", status, text)
	}
	c, err := class.Load(out)
	if err != nil || len(c.Submissions) != 6 || c.Rubric[0].Points != rows[0].Points {
		t.Errorf("%d submissions, %d points for the first row, %v", len(c.Submissions), c.Rubric[0].Points, err)
	}
}

// Names and what building says are strangers'.
func TestNothingDrivesTheTerminal(t *testing.T) {
	c := classtest.Class(30)
	for i := range c.Submissions {
		c.Submissions[i].Why += " \x1b]2;x\a\u202e"
	}
	text, status := said(t, "--rescore", publish(t, c))
	if odd := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); status != 0 || odd >= 0 {
		t.Errorf("--rescore ends with %d and shows %.40q", status, text[max(0, odd):])
	}
}

// A row that was not judged would look as if a student had not reached it.
func TestResultsOfAnotherRubricOrKitAreNotGoneOnWith(t *testing.T) {
	rows := rubricFile(t, rubric.Standard())
	c := classtest.Class(6)
	c.Kit = "(devel)"
	older, fewer, lost := c, c, publish(t, c)
	older.Kit, fewer.Rubric = "v0", c.Rubric[1:]
	must(t, os.Remove(filepath.Join(lost, "class.json")))
	for want, out := range map[string]string{"version": publish(t, older), `row "fds"`: publish(t, fewer), "class.json": lost} {
		for _, how := range []string{"--resume", "--only=ana"} {
			if text, status := said(t, t.TempDir(), how, "--rubric", rows, "--out", out); status != 2 || !strings.Contains(text, want) {
				t.Errorf("%s ends with %d: %s, want %q", how, status, text, want)
			}
		}
	}
}

// Two graders would mix what they write.
func TestOneGraderAtATime(t *testing.T) {
	out := publish(t, classtest.Class(6))
	lock, err := results.Lock(out)
	must(t, err)
	for _, args := range [][]string{{"--rescore", out}, {t.TempDir(), "--resume", "--out", out}} {
		if text, status := said(t, args...); status != 2 || !strings.Contains(text, "another grader is running") {
			t.Errorf("grade %q ends with %d: %s", args, status, text)
		}
	}
	must(t, lock.Close())
	if text, status := said(t, "--rescore", out); status != 0 {
		t.Errorf("--rescore ends with %d: %s", status, text)
	}
}

// The sample class has programs that were made from one another.
func TestAlikeFromTheCommandLine(t *testing.T) {
	sample, err := filepath.Abs("testdata/sample")
	must(t, err)
	handout := t.TempDir()
	must(t, os.CopyFS(handout, os.DirFS(filepath.Join(sample, "does-not-build-c"))))
	out := filepath.Join(t.TempDir(), "out")
	year := t.TempDir()
	must(t, os.CopyFS(filepath.Join(year, "again"), os.DirFS(filepath.Join(sample, "writes-results"))))
	must(t, os.WriteFile(filepath.Join(year, "list.txt"), []byte("ana"), 0o644))
	text, status := said(t, "--alike", sample, "--alike", year, "--handout", handout, "--out", out)
	table, err := os.ReadFile(filepath.Join(out, "alike.csv"))
	if want := "sample/writes-results," + filepath.Base(year) + "/again,9"; err != nil || status != 0 ||
		!strings.Contains(string(table), want) || !strings.Contains(string(table), ",mqfiled.c:") || !strings.Contains(text, "/list.txt: ") {
		t.Errorf("--alike ends with %d: %s\n%s\n%v", status, text, table, err)
	}
}

func TestWhatCannotBeAskedForAtOnce(t *testing.T) {
	for _, args := range [][]string{
		{}, {"a", "b"}, {"--merge"}, {"--rescore", "a", "b"}, {"--bundle", "moodle"}, {"--bundle", "gradescope", "a"},
		{"--rescore", "a", "--merge", "b"}, {"a", "--shard", "3/2"}, {"a", "--shard", "auto"},
		{"--alike", "a", "--merge", "b"}, {"--alike", "a", "b"}, {"a", "--handout", "b"},
	} {
		if text, status := said(t, args...); !strings.Contains(text, "(see --help)") || status != 2 {
			t.Errorf("grade %q ends with %d: %s", args, status, text)
		}
	}
}
