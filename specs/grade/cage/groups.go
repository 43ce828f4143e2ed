package cage

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// hierarchies are the directories of control groups, v2 and v1, with the limits of a cage in each. A separate group
// also gets no more than its share of CPU.
var hierarchies = []struct {
	dir    string
	limits map[string]int
}{
	{"/sys/fs/cgroup", map[string]int{"memory.max": maxMemoryInAll, "pids.max": maxProcessesInAll}},
	{"/sys/fs/cgroup/memory", map[string]int{"memory.limit_in_bytes": maxMemoryInAll}},
	{"/sys/fs/cgroup/pids", map[string]int{"pids.max": maxProcessesInAll}},
	{"/sys/fs/cgroup/cpu", nil},
}

// groups are the directories of control groups that this grader could make, with the limits of the cages below them.
type groups map[string]map[string]int

// group is the directories of one cage.
type group []string

// groupName plus the grader's PID names its directory.
const groupName = "daemonlab-grade-"

// removeOld removes the groups of graders that were killed.
func removeOld(hierarchy string) {
	dirs, _ := filepath.Glob(filepath.Join(hierarchy, groupName+"*"))
	for _, dir := range dirs {
		pid := strings.TrimPrefix(filepath.Base(dir), groupName)
		if _, err := os.Lstat("/proc/" + pid); err == nil {
			continue
		}
		cages, _ := filepath.Glob(filepath.Join(dir, "[0-9]*"))
		group(append(cages, dir)).remove()
	}
}

func openGroups() groups {
	g := groups{}
	for _, h := range hierarchies {
		removeOld(h.dir)
		dir := filepath.Join(h.dir, groupName+strconv.Itoa(os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		write(dir, "cgroup.subtree_control", "+memory +pids") // v2 only; the probe below shows whether it worked
		probe := filepath.Join(dir, "probe")
		if makeGroup(probe, h.limits) != nil {
			os.Remove(dir)
			continue
		}
		os.Remove(probe)
		g[dir] = h.limits
	}
	return g
}

// makeGroup makes a group with limits, or leaves nothing.
func makeGroup(dir string, limits map[string]int) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	_, err := os.Lstat(filepath.Join(dir, "cgroup.procs"))
	for file, value := range limits {
		err = errors.Join(err, write(dir, file, strconv.Itoa(value)))
	}
	if err != nil {
		os.Remove(dir)
	}
	return err
}

// write writes to an existing file only: a plain directory in place of a hierarchy must not pass for one.
func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// limitMemory reports whether a cage's memory is limited as a whole.
func (g groups) limitMemory() bool {
	for _, limits := range g {
		if limits["memory.max"]+limits["memory.limit_in_bytes"] > 0 {
			return true
		}
	}
	return false
}

func (g groups) make(slot int) (made group, err error) {
	for parent, limits := range g {
		dir := filepath.Join(parent, strconv.Itoa(slot))
		if err := makeGroup(dir, limits); err != nil {
			made.remove()
			return nil, err
		}
		made = append(made, dir)
	}
	return made, nil
}

func (g groups) remove() {
	for dir := range g {
		os.Remove(dir)
	}
}

func (g group) add(pid int) (err error) {
	for _, dir := range g {
		err = errors.Join(err, write(dir, "cgroup.procs", strconv.Itoa(pid)))
	}
	return err
}

func (g group) remove() {
	for _, dir := range g {
		os.Remove(dir)
	}
}
