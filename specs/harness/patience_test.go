package harness_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"daemonlab/specs/harness"
)

const partVariable = "HARNESS_TEST_PART"

// TestMain makes this program, when a test asks for it, report how far the clock goes in a second and how long a
// process is held up meanwhile.
func TestMain(m *testing.M) {
	if os.Getenv(partVariable) == "" {
		os.Exit(m.Run())
	}
	watch := harness.NewStopwatch()
	time.Sleep(2 * time.Second)
	fmt.Println(watch.Within(time.Second), harness.HeldUp() > 100*time.Millisecond)
}

// clockOf runs this program in a group with a percentage of a processor, beside a loop that uses it up.
func clockOf(t *testing.T, percent float64) string {
	t.Helper()
	group, err := harness.StarvedGroup(percent)
	if err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("echo 0 >%s/cgroup.procs; while :; do :; done & '%s'; kill $!; wait", group, self)
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Env = append(os.Environ(), partVariable+"=clock")
	out, err := cmd.CombinedOutput()
	if err := errors.Join(err, harness.RemoveGroup(group)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestClockSlowsDownWithTheMachine(t *testing.T) {
	if got := clockOf(t, 2); got != "true true\n" {
		t.Errorf("in a starved group: less than a second has passed in two, and it was held up: %q", got)
	}
}

func TestTimeout(t *testing.T) {
	ctx, cancel := harness.WithTimeout(t.Context(), time.Millisecond)
	<-ctx.Done()
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("at its end: %v", err)
	}
	cancel()
	ctx, cancel = harness.WithTimeout(t.Context(), time.Hour)
	if err := ctx.Err(); err != nil {
		t.Errorf("before its end: %v", err)
	}
	cancel()
	if err := ctx.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// Processes that the suite itself starts, as the clock does, never count as left by a program.
func TestOwnProcessesAreNotAdopted(t *testing.T) {
	if err := harness.AdoptOrphans(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := harness.WithTimeout(t.Context(), time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			harness.CombinedOutput(exec.Command("/bin/true"))
		}
	}()
	for ctx.Err() == nil {
		if left, err := harness.Adopted(); err != nil || len(left) > 0 {
			t.Fatalf("left: %+v, %v", left, err)
		}
	}
	<-done
}
