package main

import (
	"fmt"
	"os"
	"path/filepath"

	"daemonlab/specs/harness"
)

// starve makes a group with so many percent of a processor, and the server's program a script that enters it, so that
// the start is starved as well. The caller removes the group once its processes have ended.
func starve(p *harness.Programs, percent float64) (group string, err error) {
	if group, err = newGroup("/sys/fs/cgroup", "cpu.max", percent); err != nil {
		var errV1 error
		if group, errV1 = newGroup("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", percent); errV1 != nil {
			return "", fmt.Errorf("--starved needs root and control groups with a cpu controller: %w; %w", err, errV1)
		}
	}
	script := fmt.Sprintf("#!/bin/sh\necho 0 >%s/cgroup.procs && exec '%s' \"$@\"\n", group, p.Server)
	p.Server += ".starved"
	return group, os.WriteFile(p.Server, []byte(script), 0o755)
}

// newGroup makes a control group below a hierarchy's root. Both versions of cgroups(7) have the quota in microseconds of
// every 100 ms.
func newGroup(hierarchy, quota string, percent float64) (string, error) {
	group, err := os.MkdirTemp(hierarchy, "soak-")
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(filepath.Join(group, quota), os.O_WRONLY, 0) // which exists, unless this is no control group
	if err == nil {
		defer f.Close()
		_, err = fmt.Fprint(f, int(percent*1000))
	}
	if err != nil {
		os.Remove(group)
	}
	return group, err
}
