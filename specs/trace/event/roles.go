package event

import (
	"slices"
	"strconv"
	"strings"
)

// WrittenPID returns the number that a call writes to a file, if it writes nothing else.
func (e *Event) WrittenPID() (pid int, ok bool) {
	pid, err := strconv.Atoi(strings.TrimSpace(string(e.Data)))
	return pid, err == nil && e.Writes() && !e.Failed() && Regular(e.File) != ""
}

// Regular returns a regular file's name, "" for anything else.
func Regular(file string) string {
	file = strings.TrimSuffix(file, " (deleted)")
	if !strings.HasPrefix(file, "/") || strings.HasPrefix(file, "/dev/") || strings.HasPrefix(file, "/proc/") ||
		strings.HasPrefix(file, "/sys/") {
		return ""
	}
	return file
}

// PIDs returns all processes, by creation.
func (r *Record) PIDs() (pids []int) {
	for _, e := range r.Events {
		if e.PID != 0 && !slices.Contains(pids, e.PID) {
			pids = append(pids, e.PID)
		}
		if e.Kind == Born && !slices.Contains(pids, int(e.Result)) {
			pids = append(pids, int(e.Result))
		}
	}
	return pids
}

// FindPIDFiles finds the files that a PID was written to, including those renamed or linked later.
func (r *Record) FindPIDFiles() {
	pids := r.PIDs()
	for _, e := range r.Events {
		if pid, ok := e.WrittenPID(); ok && slices.Contains(pids, pid) && r.about(e) == nil {
			r.PIDFiles = append(r.PIDFiles, &PIDFile{Called: []string{Regular(e.File)}})
		}
		if f := r.about(e); f != nil && e.To != "" && !e.Failed() {
			f.Called = append(f.Called, e.To)
		}
	}
}

// about returns the PID file that a call is about, under any of its names, or nil.
func (r *Record) about(e *Event) *PIDFile {
	for _, f := range r.PIDFiles {
		if name := Regular(e.File); name != "" && slices.Contains(f.Called, name) {
			return f
		}
	}
	return nil
}

// Daemon returns the daemon's PID: the process that serves the queue, else the one that wrote its own PID, else the
// oldest with a parent outside the trace. A command that does not return is its own daemon. 0: nothing is alive.
func (r *Record) Daemon() int {
	pids := slices.DeleteFunc(r.PIDs(), func(pid int) bool { return r.After[pid].Stat.Pid == 0 })
	for _, sign := range []func(e *Event) bool{
		(*Event).Registers,
		func(e *Event) bool { return e.Name == "mq_open" && !e.Failed() },
		func(e *Event) bool { pid, ok := e.WrittenPID(); return ok && pid == e.PID },
	} {
		if e := r.Find(func(e *Event) bool { return slices.Contains(pids, e.PID) && sign(e) }); e != nil {
			return e.PID
		}
	}
	for _, f := range r.PIDFiles { // written by a parent
		if pid, err := strconv.Atoi(strings.TrimSpace(f.Content)); err == nil && slices.Contains(pids, pid) {
			return pid
		}
	}
	all := r.PIDs()
	for _, pid := range pids {
		if !slices.Contains(all, r.After[pid].Stat.PPid) && pid != all[0] {
			return pid
		}
	}
	if len(pids) > 0 {
		return pids[0]
	}
	return 0
}

// PIDFile returns the daemon's PID file: the last that its PID was written to, else the last of all, or nil.
func (r *Record) PIDFile(daemon int) (file *PIDFile) {
	own := false
	for _, e := range r.Events {
		pid, ok := e.WrittenPID()
		if !ok || own && pid != daemon {
			continue
		}
		if f := r.about(e); f != nil {
			file, own = f, pid == daemon
		}
	}
	return file
}
