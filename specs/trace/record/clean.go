package record

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/harness"
	"daemonlab/specs/trace/event"
)

const maxPIDFile = 32 // a longer file is not just a PID

// clean removes what a server left behind: queues and PID files. The log stays: it was asked for.
func clean(r *event.Record) {
	pids := r.PIDs()
	made := map[string]bool{}
	for _, e := range r.Events {
		switch {
		case e.Failed() || e.Existed:
		case e.Name == "mq_open" && e.Value&unix.O_CREAT != 0:
			mq.Unlink(e.Path)
		case e.Name == "open" && e.Value&unix.O_CREAT != 0:
			made[e.File] = true
		case (e.Name == "flock" || e.Name == "fcntl") && made[e.File]:
			removeIf(e.File, func(pid int) bool { return pid == 0 || slices.Contains(pids, pid) })
		}
	}
	for _, f := range r.PIDFiles {
		for _, name := range f.Called {
			removeIf(name, func(pid int) bool { return pid == 0 && made[name] || slices.Contains(pids, pid) })
		}
	}
}

// left returns the queue, and the PID file unless it is empty.
func left(r *event.Record) (names []string) {
	if r.ArmedAt != "" && harness.QueueExists(r.ArmedAt) {
		names = append(names, r.ArmedAt)
	}
	if f := r.PIDFile(r.Daemon()); f != nil {
		if info, err := os.Stat(f.Name()); err == nil && info.Size() > 0 {
			names = append(names, f.Name())
		}
	}
	return names
}

// removeIf removes a regular file that is empty (0) or holds a PID, if remove agrees.
func removeIf(file string, goes func(pid int) bool) {
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPIDFile {
		return
	}
	content, err := os.ReadFile(file)
	first, _, _ := strings.Cut(strings.TrimSpace(string(content)), "\n")
	pid, noNumber := strconv.Atoi(first)
	if err == nil && (first == "" || noNumber == nil) && goes(pid) {
		os.Remove(file)
	}
}
