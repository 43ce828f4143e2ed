package birth

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/event"
)

// stderr is the last of the standard descriptors.
const stderr = 2

// reader makes a story of a record.
type reader struct {
	*event.Record
	story    Story
	original int
	daemon   int    // 0: there is none
	queue    string // that requests come to, "" when none was opened
	pidFile  string // "" when none was locked or written
	pipe     string // through which the original is told, "" when it is not
	phase    Phase

	// The state of things as the story goes on.
	lock    lock             // on the PID file
	ignored procfs.SignalSet // since the start
	junk    bool             // is in the environment
}

// lock is the state of the PID file's lock as the story goes on.
type lock struct {
	held, posix bool
	pid         int
	fd          uint64
}

// Read makes the story of a record.
func Read(record *event.Record) *Story {
	r := &reader{Record: record, story: Story{Command: record.Command, Stderr: record.Stderr}}
	r.Events = slices.DeleteFunc(r.Events, isInterrupted)
	slices.SortStableFunc(r.Events, func(a, b event.Event) int { return cmp.Compare(a.At, b.At) })
	r.findProcesses()
	r.findFiles()
	for i := range r.Events {
		r.take(&r.Events[i])
	}
	slices.SortStableFunc(r.story.Rows, func(a, b Row) int { return cmp.Compare(a.At, b.At) })
	r.ignored, r.junk = r.Before.Status.SigIgn, junkOf(r.Before.Env) != nil
	for i := range r.story.Rows {
		row := &r.story.Rows[i]
		r.ruleOf(&row.events[0]).draw(r, row)
	}
	r.judgeRearm()
	r.giveVerdicts()
	r.bound()
	r.numberSteps()
	return &r.story
}

// isInterrupted picks calls that came to nothing, and are made again as a rule. What waits for a message says something
// all the same.
func isInterrupted(e event.Event) bool {
	return e.Cut && e.Name != "mq_receive"
}

// numberSteps adds the lab's numbers to the ids. The original's return is a step of its own, after all of step 7.
func (r *reader) numberSteps() {
	rows := rubric.Standard()
	for i := range r.story.Rows {
		row := &r.story.Rows[i]
		entry, _ := rubric.Find(rows, row.ID)
		row.Step = entry.Step
		if row.ID == "ready" && row.Ends() {
			row.Step = 8
		}
	}
}

// maxRows is how much of a program that goes on and on is drawn.
const maxRows = 400

// bound leaves out what is too much, but nothing that is marked.
func (r *reader) bound() {
	var kept []Row
	for i, row := range r.story.Rows {
		if i < maxRows || row.Marks != nil {
			kept = append(kept, row)
		}
	}
	r.story.LeftOut = len(r.story.Rows) - len(kept)
	r.story.Rows = kept
}

// take gives an event a row, or adds it to the last row of its process.
func (r *reader) take(e *event.Event) {
	switch e.Kind {
	case event.Client:
		r.phase = max(r.phase, Service)
	case event.Told:
		r.phase = End
	}
	rule := r.ruleOf(e)
	if rule == nil {
		return
	}
	group, matters := rule.wants(r, e)
	if !matters {
		return
	}
	row := r.lastOf(e)
	if row == nil || group == "" || !r.continues(row, group) {
		r.story.Rows = append(r.story.Rows, Row{PID: e.PID, TID: e.TID, Phase: r.phase})
		row = &r.story.Rows[len(r.story.Rows)-1]
	}
	row.At = e.At
	if e.Name == "mq_send" || e.Cut {
		row.At = e.Began // a client can have the message before the call returns; what is interrupted waited from then on
	}
	row.events = append(row.events, *e)
	if rule.judge != nil {
		row.Marks = append(row.Marks, rule.judge(r, e)...)
	}
}

// lastOf is the last row of the process, while it serves that of the thread.
func (r *reader) lastOf(e *event.Event) *Row {
	for i := len(r.story.Rows) - 1; i >= 0; i-- {
		row := &r.story.Rows[i]
		if row.PID == e.PID && row.Phase == r.phase && (r.phase == Birth || row.TID == e.TID) {
			return row
		}
	}
	return nil
}

func (r *reader) continues(row *Row, group string) bool {
	last := &row.events[len(row.events)-1]
	rule := r.ruleOf(last)
	before, _ := rule.wants(r, last)
	return before == group
}

// findProcesses gives the processes their roles. The daemon is who registers for notification or opens a queue; of a
// program that came to neither, the youngest that was left.
func (r *reader) findProcesses() {
	for i := range r.Events {
		e := &r.Events[i]
		switch {
		case e.Kind == event.Executed && r.original == 0:
			r.original = e.PID
			r.story.Processes = append(r.story.Processes, Process{PID: e.PID})
		case e.Kind == event.Born:
			r.story.Processes = append(r.story.Processes, Process{PID: int(e.Result), Parent: e.PID})
		case e.Kind == event.Client:
			r.phase = Service
		}
	}
	r.phase = Birth
	r.daemon = r.findDaemon()
	for i := range r.story.Processes {
		p := &r.story.Processes[i]
		p.Role = r.roleOf(p.PID)
	}
}

func (r *reader) findDaemon() (daemon int) {
	for _, name := range []string{"mq_notify", "mq_open"} {
		for i := range r.Events {
			if e := &r.Events[i]; e.Name == name && !e.Failed() && r.After[e.PID].Stat.Pid != 0 {
				return e.PID
			}
		}
	}
	for _, p := range r.story.Processes {
		if r.After[p.PID].Stat.Pid != 0 {
			daemon = p.PID
		}
	}
	return daemon
}

func (r *reader) roleOf(pid int) string {
	switch {
	case pid == r.daemon && pid == r.original:
		return "original and daemon"
	case pid == r.original:
		return "original"
	case pid == r.daemon:
		return "daemon"
	case slices.Contains(r.ancestors(r.daemon), pid):
		return "middle"
	case slices.Contains(r.ancestors(pid), r.daemon) && r.daemon != 0:
		return "child of the daemon"
	}
	return "another child"
}

// ancestors lists parents by birth, the nearest first.
func (r *reader) ancestors(pid int) (list []int) {
	for i := len(r.story.Processes) - 1; i >= 0; i-- {
		if p := r.story.Processes[i]; p.PID == pid && p.Parent != 0 {
			pid = p.Parent
			list = append(list, pid)
		}
	}
	return list
}

// findFiles recognizes PID file, queue and readiness pipe by what is done with them.
func (r *reader) findFiles() {
	told := map[string]bool{} // pipes that somebody else than the original writes to
	for i := range r.Events {
		e := &r.Events[i]
		switch e.Name {
		case "flock", "fcntl":
			r.pidFile = cmp.Or(r.pidFile, regular(e.File))
		case "write", "pwrite":
			if e.PID != r.original && strings.HasPrefix(e.File, "pipe:") {
				told[e.File] = true
			}
			if _, ok := writtenPID(e); ok && r.knows(e) {
				r.pidFile = cmp.Or(r.pidFile, regular(e.File))
			}
		case "mq_notify":
			r.queue = cmp.Or(r.queue, e.File)
		case "read":
			if e.PID == r.original && told[e.File] {
				r.pipe = e.File
			}
		}
	}
	for i := range r.Events {
		if e := &r.Events[i]; e.Name == "mq_open" && e.PID == r.daemon && !e.Failed() {
			r.queue = cmp.Or(r.queue, e.Path)
		}
	}
}

// regular is the name of a regular file, "" of what else a descriptor may lead to.
func regular(file string) string {
	file = strings.TrimSuffix(file, " (deleted)")
	if !strings.HasPrefix(file, "/") || strings.HasPrefix(file, "/dev/") || strings.HasPrefix(file, "/proc/") {
		return ""
	}
	return file
}

var pidLine = regexp.MustCompile(`^[0-9]+\n?$`)

// writtenPID is the number that a call writes, when it writes nothing else.
func writtenPID(e *event.Event) (int, bool) {
	if !pidLine.Match(e.Data) {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(e.Data)))
	return pid, err == nil
}

// knows tells whether the number written is the PID of a process of the trace.
func (r *reader) knows(e *event.Event) bool {
	pid, _ := writtenPID(e)
	return slices.ContainsFunc(r.story.Processes, func(p Process) bool { return p.PID == pid })
}

func (r *reader) isPIDFile(e *event.Event) bool {
	return r.pidFile != "" && regular(e.File) == r.pidFile
}

// startedByRoot tells whether there are privileges to give up.
func (r *reader) startedByRoot() bool {
	return r.Before.Status.Uid[1] == 0
}

// first finds the first event that fits.
func (r *reader) first(fits func(e *event.Event) bool) *event.Event {
	for i := range r.Events {
		if fits(&r.Events[i]) {
			return &r.Events[i]
		}
	}
	return nil
}

// registered is the first registration for notification of the daemon.
func (r *reader) registered() *event.Event {
	return r.first(func(e *event.Event) bool {
		return e.Name == "mq_notify" && e.PID == r.daemon && !e.Failed() && e.Args[1] != 0
	})
}

// told is the last word to the original.
func (r *reader) told() (last *event.Event) {
	for i := range r.Events {
		e := &r.Events[i]
		if (e.Name == "write" || e.Name == "pwrite") && r.pipe != "" && e.File == r.pipe && e.PID != r.original {
			last = e
		}
	}
	return last
}

func signalled(e *event.Event) unix.WaitStatus {
	return unix.WaitStatus(e.Result)
}
