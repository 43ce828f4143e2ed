package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// StarvedGroup makes a control group (cgroups(7)) with a percentage of a processor. A process enters it by writing 0 to
// its cgroup.procs. The caller calls [RemoveGroup] once the processes have ended.
func StarvedGroup(percent float64) (dir string, err error) {
	if dir, err = newGroup("/sys/fs/cgroup", "cpu.max", percent); err != nil {
		var errV1 error
		if dir, errV1 = newGroup("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", percent); errV1 != nil {
			return "", fmt.Errorf("that needs root and control groups with a cpu controller: %w; %w", err, errV1)
		}
	}
	return dir, nil
}

// RemoveGroup removes a control group. It retries: the last process may still be exiting, and version 1 does not report
// it.
func RemoveGroup(dir string) error {
	for deadline := Now() + Patience; ; time.Sleep(10 * time.Millisecond) {
		err := os.Remove(dir)
		if !errors.Is(err, unix.EBUSY) || Now() > deadline {
			return err
		}
	}
}

// newGroup makes a control group below a hierarchy's root. In both versions of cgroups(7) the quota is in microseconds
// per 100 ms.
func newGroup(hierarchy, quota string, percent float64) (string, error) {
	group, err := os.MkdirTemp(hierarchy, "starved-")
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(filepath.Join(group, quota), os.O_WRONLY, 0) // missing if this is not a control group
	if err == nil {
		defer f.Close()
		_, err = fmt.Fprint(f, int(percent*1000))
	}
	if err != nil {
		os.Remove(group)
	}
	return group, err
}
