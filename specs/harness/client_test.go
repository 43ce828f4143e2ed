package harness_test

import (
	"strings"
	"testing"
	"time"

	"daemonlab/lab/procfs"
	"daemonlab/specs/harness"
)

// TestWhoEndedTheClient ends a client that runs and one that has ended by itself.
func TestWhoEndedTheClient(t *testing.T) {
	t.Setenv(harness.ServerVariable, "/bin/true")
	t.Setenv(harness.ClientVariable, "/bin/sleep")
	p, err := harness.FindPrograms(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for seconds, cut := range map[string]bool{"1000": true, "0": false} {
		c, err := p.StartClient(nil, seconds)
		if err != nil {
			t.Fatal(err)
		}
		for limit := harness.NewStopwatch(); !cut; {
			if ended, err := procfs.New("/proc").Process(c.PID).Ended(); ended || err != nil || !limit.Within(10*time.Second) {
				break
			}
		}
		if e := c.End(); e.Cut != cut || strings.Contains(e.String(), "still ran") != cut {
			t.Errorf("sleep %s: %v", seconds, e)
		}
	}
}
