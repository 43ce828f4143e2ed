package main

import (
	"fmt"
	"os"

	"daemonlab/specs/harness"
)

// starve makes a group with so many percent of a processor, and the server's program a script that enters it, so that
// the start is starved as well. The caller removes the group once its processes have ended.
func starve(p *harness.Programs, percent float64) (group string, err error) {
	if group, err = harness.StarvedGroup(percent); err != nil {
		return "", fmt.Errorf("--starved: %w", err)
	}
	script := fmt.Sprintf("#!/bin/sh\necho 0 >%s/cgroup.procs && exec '%s' \"$@\"\n", group, p.Server)
	p.Server += ".starved"
	return group, os.WriteFile(p.Server, []byte(script), 0o755)
}
