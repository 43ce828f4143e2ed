package record

import (
	"errors"

	"daemonlab/lab/procfs"
	"daemonlab/specs/trace/event"
)

// factsOf reads what /proc shows of a process.
func factsOf(pid int) (f event.Facts, err error) {
	p := procfs.New("/proc").Process(pid)
	var errs [5]error
	f.Stat, errs[0] = p.Stat()
	f.Status, errs[1] = p.Status()
	f.Tasks, errs[2] = p.Tasks()
	f.Descriptors, errs[3] = p.Descriptors()
	f.Cwd, errs[4] = p.Cwd()
	return f, errors.Join(errs[:]...)
}

// factsBefore are those of a program that has not run yet: its environment is the one that it was executed with.
func factsBefore(e event.Event) (event.Facts, error) {
	f, err := factsOf(e.PID)
	f.Env = e.Env
	return f, err
}

// factsAfter have the environment as the process itself sees it.
func factsAfter(pid int) (event.Facts, error) {
	f, err := factsOf(pid)
	if err != nil {
		return f, err
	}
	env, err := procfs.New("/proc").Process(pid).LiveEnviron()
	f.Env, f.EnvUnknown = env.Vars, !env.Live
	return f, err
}
