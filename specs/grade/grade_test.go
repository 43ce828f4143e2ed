package main_test

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"daemonlab/specs/broken"
	"daemonlab/specs/check"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

var must = check.Must

// kit is a directory with the grader's programs.
var kit string

func TestMain(m *testing.M) {
	if err := harness.AdoptOrphans(); err != nil { // whatever a cage leaves is reparented to us
		panic(err)
	}
	dir, err := os.MkdirTemp("", "grade-test-")
	if err != nil {
		panic(err)
	}
	kit = filepath.Join(dir, "kit/bin")
	status := 1
	if err := buildKit(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		status = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(status)
}

// buildKit builds the grader, and unless testing is short the programs that it judges with.
func buildKit() error {
	flag.Parse() // for testing.Short
	if err := check.Build(kit+"/", "daemonlab/specs/grade"); err != nil || testing.Short() {
		return err
	}
	_, err := broken.BuildSuite(context.Background(), "../..", kit)
	return err
}

// grade runs the grader and returns its results. Its temporary directory must be empty at the end.
func grade(t *testing.T, out string, args ...string) class.Class {
	t.Helper()
	temporary := check.Room(t)
	cmd := exec.Command(filepath.Join(kit, "grade"), append(args, "--out", out)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	said, err := cmd.CombinedOutput()
	t.Logf("%s", said)
	must(t, err)
	left, err := os.ReadDir(temporary)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left in the temporary directory: %v", left)
	}
	c, err := class.Load(out)
	must(t, err)
	return c
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	NewWithT(t).Eventually(done).WithContext(t.Context()).WithTimeout(harness.Stretched(time.Minute)).Should(BeTrue(), what)
}

// mustLeaveNothing waits until all processes of a grader that ended are gone.
func mustLeaveNothing(t *testing.T) {
	t.Helper()
	waitFor(t, "the end of what a grader has started", func() bool {
		left, err := harness.Adopted()
		return err == nil && len(left) == 0
	})
}

// TestSample grades a class with known results. Some of its submissions attack the grader and the machine, so it also
// checks for damage.
func TestSample(t *testing.T) {
	check.Slow(t)
	check.Needs(t, "git", "go", "make", "gcc", "setsid")
	dir := check.Room(t)
	submissions := filepath.Join(dir, "submissions")
	must(t, os.Mkdir(submissions, 0o755))
	makeSample(t, submissions)
	before := look(t, submissions, kit)
	found := grade(t, filepath.Join(dir, "out"), submissions, "--timeout", "100")
	before.mustBe(t, look(t, submissions, kit))
	names := map[string]bool{}
	for _, s := range found.Submissions {
		want, known := sample[string(s.Name)]
		if names[string(s.Name)] = true; !known {
			t.Errorf("%v: no such submission was made", s.Name)
			continue
		}
		t.Run(s.Name.String(), func(t *testing.T) { want.check(t, s) })
	}
	if len(names) != len(sample) {
		t.Errorf("%d submissions in the result, %d were made", len(names), len(sample))
	}
}

func (want expected) check(t *testing.T, s class.Submission) {
	if !slices.Contains(want.verdicts, s.Verdict) {
		t.Errorf("verdict %q (%s), want one of %q\n%s", s.Verdict, s.Why, want.verdicts, evidence(s))
		return
	}
	got, _, _ := s.Points(rubric.Standard())
	var failed []string
	for _, row := range s.Rows {
		if row.Status != class.Passed && row.Status != class.Skipped {
			failed = append(failed, row.ID)
		}
	}
	switch {
	case want.pointless && got > 0:
		t.Errorf("it has %d points, want none", got)
	case !want.pointless && !slices.Equal(failed, want.failed):
		t.Errorf("failed %q, want %q\n%s", failed, want.failed, evidence(s))
	}
	if s.Verdict != class.Timeout && !strings.Contains(evidence(s), want.says) {
		t.Errorf("%q is not in\n%s", want.says, evidence(s))
	}
	if want.never != "" && strings.Contains(evidence(s), want.never) {
		t.Errorf("%q in\n%s", want.never, evidence(s))
	}
}

func evidence(s class.Submission) string {
	text := s.Why + s.Build.Output
	for _, row := range s.Rows {
		standard, _ := rubric.Find(rubric.Standard(), row.ID)
		text += "\n" + row.Report(standard, "en")
	}
	return text
}

// state is what a submission could have changed on the machine: contents of kit and submissions, mounts, queues,
// control groups, files where the disk-filler writes them, and processes: those of a cage would be reparented to us.
type state map[string]string

func look(t *testing.T, dirs ...string) state {
	t.Helper()
	s := state{}
	for _, dir := range dirs {
		for path, content := range check.Tree(t, dir) {
			s[filepath.Join(dir, path)] = fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	s["mounts"] = string(mounts)
	for _, pattern := range []string{
		"/dev/mqueue/left-behind", "/*/daemonlab-was-here", "/*/*/daemonlab-was-here",
		"/sys/fs/cgroup/*/daemonlab-grade-*/*",
	} {
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, file := range files {
			s[file] = "there"
		}
	}
	for _, setting := range []string{"fs/mqueue/msgsize_max", "kernel/msgmax", "kernel/pid_max", "kernel/core_pattern"} {
		value, err := os.ReadFile("/proc/sys/" + setting)
		must(t, err)
		s[setting] = string(value)
	}
	living, err := harness.Adopted()
	must(t, err)
	s["processes"] = fmt.Sprint(living)
	return s
}

func (s state) mustBe(t *testing.T, now state) {
	t.Helper()
	for _, what := range slices.Sorted(maps.Keys(now)) {
		if s[what] != now[what] {
			t.Errorf("%s was %q, now %q", what, s[what], now[what])
		}
	}
	for what := range s {
		old := strings.HasPrefix(what, "/sys/fs/cgroup/") // of a killed grader: each grader removes these at its start
		if _, there := now[what]; !there && !old {
			t.Errorf("%s is gone", what)
		}
	}
}
