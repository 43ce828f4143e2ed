package class_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"daemonlab/specs/check"
	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

var must = check.Must

// hostile are valid folder names that are hard to handle.
var hostile = []class.Name{
	"alice", "Alice", "ALICE", "José Núñez", "-rf", ".hidden", "..", "a b", "a_b", "a\nb", "a\x00b", "\xff\xfe", "\xff", "=1+2",
	"@SUM(A1)", "+1", "<script>alert(1)</script>", `back\slash`, "\u202egnp.exe", "a~b", "中文", "\x1b[31mred", "a.b-c_9",
	class.Name(strings.Repeat("x", 255)), class.Name(strings.Repeat("x", 254) + "y"), "\u00a0",
}

func TestNamesHaveDistinctFoldersAndTexts(t *testing.T) {
	const plain = "abcdefghijklmnopqrstuvwxyz0123456789._-~"
	folders, shown := map[string]class.Name{}, map[string]class.Name{}
	for _, n := range hostile {
		folder := n.Folder()
		if folder == "" || len(folder) > 100 || strings.Trim(folder, plain) != "" || strings.HasPrefix(folder, ".") ||
			strings.HasPrefix(folder, "-") {
			t.Errorf("the folder of %q is %q", string(n), folder)
		}
		if strings.ContainsAny(n.String(), "\n\r\x00\x1b\u202e\ufffd") {
			t.Errorf("%q is shown as %q", string(n), n)
		}
		if other, ok := folders[folder]; ok {
			t.Errorf("%q and %q share the folder %q", string(n), string(other), folder)
		}
		if other, ok := shown[n.String()]; ok {
			t.Errorf("%q and %q look the same: %s", string(n), string(other), n)
		}
		folders[folder], shown[n.String()] = n, n
	}
	if got := class.Name("a.b-c_9").Folder(); got != "a.b-c_9" {
		t.Errorf("the folder of a plain name is %q", got)
	}
	if again := class.Name(class.Name("a b").Folder()); again.Folder() == class.Name("a b").Folder() {
		t.Errorf("the name %q takes another submission's folder", string(again))
	}
	for n, want := range map[class.Name]string{"José Núñez": "José Núñez", "a\nb\xff": `a\nb\xff`, `a\nb`: `a\\nb`} {
		if n.String() != want {
			t.Errorf("%q is shown as %s, not %s", string(n), n, want)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	out := t.TempDir()
	c := class.Class{Format: class.Format, Kit: "1", Machine: "m", Began: time.Unix(1, 0).UTC(), Ended: time.Unix(2, 0).UTC(),
		Rubric: rubric.Standard()}
	for _, n := range hostile {
		s := class.Submission{Name: n, Verdict: class.Graded, Runs: 1,
			Rows: []class.Row{{ID: "fds", Status: class.Passed, Passes: 1, Seconds: 0.5}}}
		c.Submissions = append(c.Submissions, s)
		must(t, os.MkdirAll(n.Dir(out), 0o755))
		must(t, s.Save(out))
		if got, err := class.LoadSubmission(out, n); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("saved %+v, loaded %+v, %v", s, got, err)
		}
	}
	must(t, c.Save(out))
	if got, err := class.Load(out); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("saved %+v, loaded %+v, %v", c, got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(out, ".new-*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

func TestLoadRejectsOtherFiles(t *testing.T) {
	out := t.TempDir()
	if _, err := class.Load(out); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if _, err := class.LoadSubmission(out, "alice"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a submission without a file: %v", err)
	}
	for _, content := range []string{"", "{", "{}", `{"format":"daemonlab/class/v0"}`} {
		must(t, os.WriteFile(filepath.Join(out, "class.json"), []byte(content), 0o644))
		if _, err := class.Load(out); err == nil || !strings.Contains(err.Error(), "class.json") {
			t.Errorf("of %q: %v", content, err)
		}
	}
}

func TestPoints(t *testing.T) {
	rows := []rubric.Row{{ID: "a", Points: 55}, {ID: "b", Points: 25}, {ID: "c", Points: 20}}
	all := func(a, b, c string) []class.Row {
		return []class.Row{{ID: "a", Status: a}, {ID: "b", Status: b, Passes: 3}, {ID: "c", Status: c}}
	}
	const passed, failed, skipped = class.Passed, class.Failed, class.Skipped
	perfect, onlyA, fifty := all(passed, passed, passed), all(passed, failed, "")[:2], 50
	for _, test := range []struct {
		name    string
		verdict class.Verdict
		rows    []class.Row
		adjust  class.Adjustment
		got, of int
		given   bool
	}{
		{"all passed", class.Graded, perfect, class.Adjustment{}, 100, 100, true},
		{"one failed, in 2 of 5 runs", class.Graded, all(passed, failed, passed), class.Adjustment{}, 75, 100, true},
		{"skipped counts nowhere", class.Graded, all(passed, skipped, failed), class.Adjustment{}, 55, 75, true},
		{"the suite's error counts nowhere", class.Graded, all(class.Error, failed, passed), class.Adjustment{}, 20, 45, true},
		{"what was judged until the time-out", class.Timeout, onlyA, class.Adjustment{}, 55, 100, true},
		{"no build", class.NoBuild, nil, class.Adjustment{}, 0, 100, true},
		{"the grader failed", class.GraderFailed, perfect, class.Adjustment{}, 0, 0, false},
		{"no submission", class.NotOne, nil, class.Adjustment{}, 0, 0, false},
		{"late: 5.5 are taken off", class.Graded, onlyA, class.Adjustment{Late: 10}, 50, 100, true},
		{"far too late", class.Graded, onlyA, class.Adjustment{Late: 100}, 0, 100, true},
		{"late without points", class.NoBuild, nil, class.Adjustment{Late: 10}, 0, 100, true},
		{"others' points", class.Graded, onlyA, class.Adjustment{Late: 10, Points: &fifty}, 50, 100, true},
		{"others' points where a row was skipped", class.Graded, all(passed, skipped, failed), class.Adjustment{Points: &fifty}, 50, 100, true},
		{"others' points where the grader failed", class.GraderFailed, nil, class.Adjustment{Points: &fifty}, 50, 100, true},
		{"late where the grader failed", class.GraderFailed, nil, class.Adjustment{Late: 10}, 0, 0, false},
	} {
		s := class.Submission{Verdict: test.verdict, Rows: test.rows, Adjust: test.adjust}
		if got, of, given := s.Points(rows); got != test.got || of != test.of || given != test.given {
			t.Errorf("%s: %d of %d, %v", test.name, got, of, given)
		}
	}
	again := []rubric.Row{{ID: "a", Points: 10}, {ID: "b", Points: 90}}
	if got, of, _ := (class.Submission{Verdict: class.Graded, Rows: onlyA}).Points(again); got != 10 || of != 100 {
		t.Errorf("by other weights: %d of %d", got, of)
	}
}

func TestReportsAreSafeAndBounded(t *testing.T) {
	flood := finding.Same("%s", strings.Repeat("ñ\xff\x1b[1m", 1<<13))
	row := class.Row{Finding: &finding.Finding{Did: rubric.Text{EN: "looked", ES: "miró"}, Saw: flood,
		Facts: []finding.Fact{{Of: finding.Same("log"), Text: flood.EN}}}}
	text, facts := row.Shown()
	for _, shown := range []string{text.EN, text.ES, facts[0].Text, row.Report(rubric.Row{}, "es")} {
		if len(shown) > 20<<10 || strings.ContainsRune(shown, 0x1b) || !utf8.ValidString(shown) || !strings.Contains(shown, "...") {
			t.Errorf("of %d bytes %d are shown: %.60q", len(flood.EN), len(shown), shown)
		}
	}
	if !strings.Contains(text.EN, "looked") || !strings.Contains(text.ES, "miró") {
		t.Errorf("%.60q and %.60q", text.EN, text.ES)
	}
}
