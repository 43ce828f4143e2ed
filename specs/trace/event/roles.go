package event

import (
	"slices"
	"strconv"
	"strings"
)

// WrittenPID is the number that a call writes into a file, when it writes nothing else.
func (e *Event) WrittenPID() (pid int, ok bool) {
	pid, err := strconv.Atoi(strings.TrimSpace(string(e.Data)))
	return pid, err == nil && e.Writes() && !e.Failed() && Regular(e.File) != ""
}

// Regular is the name of a regular file, "" of what else a descriptor may lead to.
func Regular(file string) string {
	file = strings.TrimSuffix(file, " (deleted)")
	if !strings.HasPrefix(file, "/") || strings.HasPrefix(file, "/dev/") || strings.HasPrefix(file, "/proc/") ||
		strings.HasPrefix(file, "/sys/") {
		return ""
	}
	return file
}

// PIDs are all processes that there have been, in the order of their birth.
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

// FindPIDFiles finds the files that a PID was written into, also one that was renamed or linked later.
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

// about is the PID file that a call is about, under any of its names; nil: about none.
func (r *Record) about(e *Event) *PIDFile {
	for _, f := range r.PIDFiles {
		if name := Regular(e.File); name != "" && slices.Contains(f.Called, name) {
			return f
		}
	}
	return nil
}

// Daemon is what the start has made: who serves the queue, else who wrote its own PID, else the oldest whose parent is
// none of the trace. A command that stays is its own daemon. 0: nothing lives.
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

// PIDFile is the daemon's: the last that its PID was written into, else the last of any. nil: there is none.
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
