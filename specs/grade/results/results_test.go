package results_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"daemonlab/specs/check"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/class/classtest"
	"daemonlab/specs/grade/results"
	"daemonlab/specs/grade/shard"
	"daemonlab/specs/rubric"
)

var must = check.Must

// published publishes a class and adds evidence, as the grader does.
func published(t *testing.T, c class.Class) string {
	t.Helper()
	out := t.TempDir()
	must(t, results.Publish(out, c))
	for _, s := range c.Submissions {
		must(t, os.WriteFile(filepath.Join(s.Name.Dir(out), "build.log"), []byte(s.Name), 0o644))
	}
	return out
}

func load(t *testing.T, out string) class.Class {
	t.Helper()
	c, err := class.Load(out)
	must(t, err)
	return c
}

// moved returns the standard rubric with some points moved from one row to another.
func moved(from, to string, points int) []rubric.Row {
	rows := rubric.Standard()
	for i := range rows {
		switch rows[i].ID {
		case from:
			rows[i].Points -= points
		case to:
			rows[i].Points += points
		}
	}
	return rows
}

func TestRescoreKeepsTheFindings(t *testing.T) {
	c := classtest.Class(12)
	out := published(t, c)
	c = load(t, out)
	before := check.Tree(t, out)
	rows := moved("rearm", "fds", 3)
	_, err := results.Rescore(out, rows)
	must(t, err)
	changed := 0
	for i, s := range load(t, out).Submissions {
		if !reflect.DeepEqual(s.Rows, c.Submissions[i].Rows) {
			t.Errorf("%s: what was found has changed", s.Name)
		}
		got, _, _ := s.Points(rows)
		old, _, _ := s.Points(c.Rubric)
		if got != old {
			changed++
		}
	}
	if changed == 0 {
		t.Error("no points have changed")
	}
	rescored := check.Tree(t, out)
	if rescored["grades.csv"] == before["grades.csv"] || rescored["index.html"] == before["index.html"] {
		t.Error("the table or the page was not made again")
	}
	_, err = results.Rescore(out, rubric.Standard())
	must(t, err)
	after := check.Tree(t, out)
	delete(before, "class.json") // as text its encoding may differ
	delete(after, "class.json")
	if !reflect.DeepEqual(after, before) || !reflect.DeepEqual(load(t, out), c) {
		t.Error("with the first weights again, the results differ")
	}
}

func TestRescoreRejectsRowsNotJudged(t *testing.T) {
	c := classtest.Class(1)
	out := published(t, c)
	before := check.Tree(t, out)
	rows := rubric.Standard()
	rows[0].ID = "unheard-of"
	if _, err := results.Rescore(out, rows); err == nil || !strings.Contains(err.Error(), "unheard-of") {
		t.Errorf("with a row not judged: %v", err)
	}
	if !reflect.DeepEqual(check.Tree(t, out), before) {
		t.Error("a refused rescore has changed something")
	}
}

func TestMergedPartsAreTheWhole(t *testing.T) {
	c := classtest.Class(12)
	whole := published(t, c)
	want := check.Tree(t, whole)
	c = load(t, whole)
	for _, count := range []int{1, 5, 20} {
		var dirs []string
		for i := range count {
			part := c
			part.Submissions = shard.Of(shard.Shard{Index: i + 1, Count: count}, c.Submissions)
			if len(part.Submissions) > len(c.Submissions)/count+1 {
				t.Errorf("part %d of %d has %d submissions", i+1, count, len(part.Submissions))
			}
			dirs = append(dirs, published(t, part))
		}
		merged := filepath.Join(t.TempDir(), "new")
		_, err := results.Merge(merged, dirs)
		must(t, err)
		got := check.Tree(t, merged)
		for path := range want {
			if strings.HasPrefix(path, "submissions/") && want[path] != got[path] {
				t.Errorf("%d parts: %s differs", count, path)
			}
		}
		if len(want) != len(got) || len(load(t, merged).Submissions) != len(c.Submissions) {
			t.Errorf("%d parts: %d files instead of %d", count, len(got), len(want))
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	c := classtest.Class(2)
	saved := func(c class.Class, i int) string {
		dir := t.TempDir()
		c.Submissions = c.Submissions[i : i+1]
		must(t, c.Save(dir))
		return dir
	}
	dirs := []string{saved(c, 0), saved(c, 1)}
	kit, weights, killed := c, c, c
	kit.Kit, weights.Rubric, killed.Ended = "v0", moved("rearm", "fds", 1), time.Time{}
	for name, test := range map[string]struct {
		dirs []string
		say  string
	}{
		"a submission twice": {append(dirs, dirs[0]), "is in"},
		"another kit":        {[]string{dirs[0], saved(kit, 1)}, "version"},
		"another rubric":     {[]string{dirs[0], saved(weights, 1)}, "rubric"},
		"a grader killed":    {[]string{dirs[0], saved(killed, 1)}, "has not finished"},
		"no class":           {[]string{dirs[0], t.TempDir()}, "class.json"},
	} {
		out := filepath.Join(t.TempDir(), "new")
		if _, err := results.Merge(out, test.dirs); err == nil || !strings.Contains(err.Error(), test.say) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %s is there", name, out)
		}
	}
	if _, err := results.Merge(dirs[0], dirs[1:]); !errors.Is(err, fs.ErrExist) {
		t.Errorf("into a directory that holds something: %v", err)
	}
}
