package birth

import (
	"cmp"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/specs/facts"
	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/event"
)

// reader turns a record into a story.
type reader struct {
	*event.Record
	story    Story
	original int
	daemon   int   // 0: there is none
	line     []int // the daemon and its ancestors, nearest first
	born     map[int]time.Duration
	after    facts.Facts
	pidFile  *event.PIDFile
	lock     *event.Event // first on the PID file, nil if there is none
	pipe     string       // that the readiness report goes through, "" if there is none
	sockets  map[string]string

	// State as of the current event.
	phase   Phase
	junk    bool // is in the environment
	waiting int  // requests not yet received
}

// Read turns a record into a story.
func Read(record *event.Record) *Story {
	r := &reader{Record: record, story: Story{Command: record.Command, Stderr: record.Stderr, Lab: record.Lab},
		sockets: map[string]string{}, born: map[int]time.Duration{}}
	r.Events = slices.DeleteFunc(r.Events, isInterrupted)
	slices.SortStableFunc(r.Events, func(a, b *event.Event) int { return cmp.Compare(a.At, b.At) })
	r.findProcesses()
	r.findPipe()
	r.pidFile = r.PIDFile(r.daemon)
	r.lock = r.Find(func(e *event.Event) bool { return isLock(e) && !e.Failed() && r.isPIDFile(e.File) })
	r.junk = facts.Junk(r.Before.Env.Vars) != nil
	for _, e := range r.Events {
		r.take(e)
	}
	slices.SortStableFunc(r.story.Rows, func(a, b Row) int { return cmp.Compare(a.At, b.At) })
	for i := range r.story.Rows {
		r.draw(&r.story.Rows[i])
	}
	if r.story.Lab {
		r.judgeRearm()
	}
	r.giveVerdicts()
	r.bound()
	return &r.story
}

// isInterrupted selects interrupted calls, which are normally restarted. Those that wait for a message are shown all
// the same.
func isInterrupted(e *event.Event) bool {
	return e.Cut && e.Name != "mq_receive"
}

// maxRows bounds the rows drawn of a program that never stops.
const maxRows = 400

// bound drops rows beyond the limit, but no marked ones, and adds the lab's step numbers to the ids. The original's
// return is a step of its own, after all of step 7.
func (r *reader) bound() {
	rows := rubric.Standard()
	kept := r.story.Rows[:0]
	for i, row := range r.story.Rows {
		if i >= maxRows && row.Marks == nil {
			r.story.LeftOut++
			continue
		}
		entry, _ := rubric.Find(rows, row.ID)
		row.Step = entry.Step
		if row.ID == "ready" && row.Ends() {
			row.Step = 8
		}
		kept = append(kept, row)
	}
	r.story.Rows = kept
}

// take gives an event a row, or adds it to its process's last row.
func (r *reader) take(e *event.Event) {
	switch {
	case e.Kind == event.Client:
		r.phase = max(r.phase, Service)
	case e.Kind == event.Told:
		r.phase = End
	case e.Path != "" && (e.Name == "connect" || e.Name == "sendto" || e.Name == "sendmsg"):
		r.sockets[e.File] = e.Path
	}
	id, group, shown := r.place(e)
	marks := r.judge(e)
	if !shown && marks == nil {
		return
	}
	row := r.lastOf(e)
	if row == nil || group == "" || row.group != group {
		r.story.Rows = append(r.story.Rows, Row{PID: e.PID, TID: e.TID, Phase: r.phase, group: group})
		row = &r.story.Rows[len(r.story.Rows)-1]
	}
	row.At, row.ID, row.Marks = e.At, cmp.Or(row.ID, id), append(row.Marks, marks...)
	if e.Kind == event.Call && e.Name == "mq_send" || e.Cut {
		row.At = e.Began // a client can have the message before the call returns; an interrupted call waited from then on
	}
	row.events = append(row.events, e)
}

// lastOf returns the process's last row if it is the thread's, too. Adoption rows, which can fall between any two
// calls, do not count.
func (r *reader) lastOf(e *event.Event) *Row {
	for i := len(r.story.Rows) - 1; i >= 0; i-- {
		row := &r.story.Rows[i]
		if row.PID == e.PID && row.events[0].Kind != event.Adopted && row.Phase == r.phase && (r.phase == Birth || row.TID == e.TID) {
			return row
		}
	}
	return nil
}

// findProcesses assigns the roles.
func (r *reader) findProcesses() {
	parents := map[int]int{}
	for _, e := range r.Events {
		if e.Kind == event.Born {
			parents[int(e.Result)], r.born[int(e.Result)] = e.PID, e.At
		}
	}
	pids := slices.DeleteFunc(r.PIDs(), func(pid int) bool { return pid == 0 })
	if len(pids) > 0 {
		r.original = pids[0]
	}
	ancestry := func(pid int) (line []int) {
		for ; pid != 0; pid = parents[pid] {
			line = append(line, pid)
		}
		return line
	}
	r.daemon = r.Daemon()
	r.after, r.line = r.After[r.daemon], ancestry(r.daemon)
	line, middle := r.line, 0
	if r.daemon == 0 && len(pids) > 0 {
		line, r.line = ancestry(pids[len(pids)-1]), pids // as far as they got
	}
	for _, pid := range pids {
		role := say("another")
		switch {
		case pid == r.daemon && pid == r.original:
			role = say("original and daemon")
		case pid == r.original:
			role = say("original")
		case pid == r.daemon:
			role = say("daemon")
		case r.daemon == 0 && pid == line[0]:
			role = say("last")
		case slices.Contains(line, pid) && len(line) == 3:
			role = say("middle")
		case slices.Contains(line, pid):
			middle++
			role = say("middle %d", middle)
		case slices.Contains(ancestry(pid), r.daemon):
			role = say("daemon's child")
		}
		r.story.Processes = append(r.story.Processes, Process{PID: pid, Parent: parents[pid], Role: role})
	}
}

// findPipe finds the pipe that the original reads and another process writes to.
func (r *reader) findPipe() {
	told := map[string]bool{}
	for _, e := range r.Events {
		switch {
		case e.Writes() && e.PID != r.original:
			told[e.File] = true
		case e.Name == "read" && e.PID == r.original && told[e.File] && isPipe(e.File):
			r.pipe = e.File
		}
	}
}

func (r *reader) isPIDFile(name string) bool {
	return r.pidFile != nil && slices.Contains(r.pidFile.Called, event.Regular(name))
}

// registered returns the daemon's first registration for notification.
func (r *reader) registered() *event.Event {
	return r.Find(func(e *event.Event) bool { return e.PID == r.daemon && e.Registers() })
}

func (r *reader) isPipe(e *event.Event) bool { return r.pipe != "" && e.File == r.pipe }

// told returns the event of the tracer sending a signal, nil if it did not.
func (r *reader) told(sig unix.Signal) *event.Event {
	return r.Find(func(e *event.Event) bool { return e.Kind == event.Told && e.Result == int64(sig) })
}

func status(e *event.Event) unix.WaitStatus { return unix.WaitStatus(e.Result) }
