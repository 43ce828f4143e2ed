package procfs

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Unlimited is the value of a limit that does not bind (RLIM_INFINITY).
const Unlimited = math.MaxUint64

// Limit is one resource limit of getrlimit(2).
type Limit struct {
	Soft, Hard uint64
	Units      string // bytes, files, seconds, us ...; empty for priorities
}

// Limits has a process's resource limits by the names in /proc/PID/limits: "Max open files".
type Limits map[string]Limit

// Names of limits that matter to a daemon and its queues.
const (
	MaxOpenFiles    = "Max open files"
	MaxMsgqueueSize = "Max msgqueue size"
	MaxFileSize     = "Max file size"
	MaxCoreFileSize = "Max core file size"
)

// Limits reads /proc/PID/limits.
func (p Process) Limits() (Limits, error) { return load(p.Path("limits"), ParseLimits) }

// The columns of /proc/PID/limits (fs/proc/base.c proc_pid_limits), in bytes. Names contain spaces.
const (
	softColumn  = 26
	hardColumn  = 47
	unitsColumn = 68
)

// ParseLimits parses /proc/PID/limits.
func ParseLimits(r io.Reader) (Limits, error) {
	limits := Limits{}
	err := eachLine("limits", r, func(line string) error {
		if strings.HasPrefix(line, "Limit ") {
			return nil // the headings
		}
		return limits.add(line)
	})
	if err == nil && len(limits) == 0 {
		err = fileError("limits", errors.New("no limits"))
	}
	return limits, err
}

func (l Limits) add(line string) (err error) {
	if len(line) < unitsColumn {
		return errors.New("too short")
	}
	column := func(from, to int) string { return strings.TrimRight(line[from:to], " ") }
	name, limit := column(0, softColumn), Limit{Units: column(unitsColumn, len(line))}
	if _, twice := l[name]; twice || name == "" {
		return fmt.Errorf("name %q is not a new one", name)
	}
	if limit.Soft, err = parseLimit(column(softColumn, hardColumn)); err != nil {
		return err
	}
	limit.Hard, err = parseLimit(column(hardColumn, unitsColumn))
	l[name] = limit
	return err
}

func parseLimit(s string) (uint64, error) {
	if s == "unlimited" {
		return Unlimited, nil
	}
	return strconv.ParseUint(s, 10, 64)
}
