package broken_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"daemonlab/specs/harness"
)

// On a slow machine a correct program fails nothing; rows that cannot be judged there say so.
func TestTheReferenceOnATenthOfAProcessor(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	_, err := someSuite()
	must(t, err)
	group, err := harness.StarvedGroup(10)
	if err != nil {
		t.Skip(err)
	}
	script := fmt.Sprintf("echo 0 >%s/cgroup.procs && exec '%s'", group, filepath.Join(suiteDir, "judge"))
	out, err := exec.CommandContext(ctx, "/bin/sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "not judged") {
			t.Log(strings.TrimSpace(line))
		}
	}
	must(t, harness.RemoveGroup(group))
}
