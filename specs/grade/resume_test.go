package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"daemonlab/specs/grade/class"
	"daemonlab/specs/harness"
)

// TestResume ends a grader in the middle, by force or by Ctrl-C, and has another go on.
func TestResume(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	for name, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "interrupted": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) { resume(t, sig) })
	}
}

func resume(t *testing.T, sig syscall.Signal) {
	dir := room(t)
	submissions, out := filepath.Join(dir, "submissions"), filepath.Join(dir, "out")
	names := []class.Name{"a", "b", "c", "d"}
	for _, name := range names {
		must(t, os.CopyFS(filepath.Join(submissions, string(name)), os.DirFS("testdata/sample/reads-specs")))
	}
	cmd := exec.Command(filepath.Join(kit, "grade"), submissions, "--out", out, "--jobs", "1")
	cmd.Env = append(os.Environ(), "TMPDIR="+room(t))
	must(t, cmd.Start())
	waitFor(t, "the second submission", func() bool { return judged(out, names[1]) != "" })
	must(t, cmd.Process.Signal(sig))
	err := cmd.Wait()
	if exit := new(exec.ExitError); sig == syscall.SIGINT && (!errors.As(err, &exit) || exit.ExitCode() != 130) {
		t.Errorf("interrupted, it ended with %v", err)
	}
	mustLeaveNothing(t)
	before := map[class.Name]string{}
	for _, name := range names {
		before[name] = judged(out, name)
	}
	if before["d"] != "" {
		t.Fatal("all was judged before the signal came")
	}
	found := grade(t, out, submissions, "--resume")
	if len(found.Submissions) != len(names) {
		t.Errorf("%d submissions in the result, want %d", len(found.Submissions), len(names))
	}
	for _, s := range found.Submissions {
		if s.Verdict != class.Graded {
			t.Errorf("%v: %s %s", s.Name, s.Verdict, s.Why)
		}
		if then := before[s.Name]; then != "" && judged(out, s.Name) != then {
			t.Errorf("%v was judged twice", s.Name)
		}
	}
}

// judged is empty as long as a submission is not, then something that changes when it is judged again.
func judged(out string, name class.Name) string {
	info, err := os.Stat(filepath.Join(name.Dir(out), "submission.json"))
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.ModTime(), info.Sys().(*syscall.Stat_t).Ino)
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	NewWithT(t).Eventually(done).WithContext(t.Context()).WithTimeout(harness.Stretched(time.Minute)).Should(BeTrue(), what)
}

// mustLeaveNothing waits until all processes of a grader that was ended are gone.
func mustLeaveNothing(t *testing.T) {
	t.Helper()
	waitFor(t, "the end of what a grader has started", func() bool {
		left, err := harness.Adopted()
		return err == nil && len(left) == 0
	})
}
