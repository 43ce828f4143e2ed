package birth

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/event"
)

// A check compares what the daemon has become with what its starter left: wrong is "" when the step was taken, right
// then says by what that is seen.
type check func(r *reader, before, after *event.Facts) (wrong, right string)

// checks are the ids that a trace can tell of. The other rows of the rubric need more than one start to be judged.
var checks = []struct {
	id    string
	check check
}{
	{"fds", checkDescriptors}, {"signals", checkSignals}, {"sigmask", checkMask}, {"env", checkEnvironment},
	{"session", checkSession}, {"orphan", checkOrphan}, {"stdio", checkStdio}, {"umask", checkUmask}, {"cwd", checkCwd},
	{"pidfile", checkPIDFile}, {"privileges", checkPrivileges}, {"ready", checkReady}, {"notify", checkNotify},
	{"rearm", checkRearm},
}

// giveVerdicts goes through the ids. What is wrong and not marked at any row gets one of its own, where the start ends.
func (r *reader) giveVerdicts() {
	for _, row := range rubric.Standard() {
		marked := r.marked(row.ID)
		text, wrong, ok := r.verdictOn(row.ID)
		switch {
		case marked != "":
			text = marked
		case !ok:
			continue
		case wrong && (r.daemon != 0 || row.ID == "ready"): // of no daemon it need not be said for every step
			r.missing(Mark{row.ID, text})
		}
		r.story.Verdicts = append(r.story.Verdicts, Verdict{Row: row, OK: marked == "" && !wrong, Text: text})
	}
}

func (r *reader) marked(id string) string {
	for _, row := range r.story.Rows {
		for _, m := range row.Marks {
			if m.ID == id {
				return m.Text
			}
		}
	}
	return ""
}

func (r *reader) verdictOn(id string) (text string, wrong, ok bool) {
	for _, c := range checks {
		if c.id != id {
			continue
		}
		after, lives := r.After[r.daemon]
		if !lives {
			return "there is no daemon", true, true
		}
		wrongText, right := c.check(r, &r.Before, &after)
		if wrongText != "" {
			return wrongText, true, true
		}
		return right, false, true
	}
	return "", false, false
}

// missing puts a mark where the start ends, in the column of the daemon.
func (r *reader) missing(m Mark) {
	at := len(r.story.Rows)
	for i, row := range r.story.Rows {
		if row.Phase != Birth {
			at = i
			break
		}
	}
	if m.ID == "rearm" {
		at = len(r.story.Rows)
	}
	row := Row{PID: r.daemon, Marks: []Mark{m}, ID: m.ID}
	if at > 0 {
		row.At, row.Phase = r.story.Rows[at-1].At, r.story.Rows[at-1].Phase
	}
	if row.PID == 0 {
		row.PID = r.original
	}
	row.TID = row.PID
	r.story.Rows = slices.Insert(r.story.Rows, at, row)
}

func checkDescriptors(_ *reader, before, after *event.Facts) (wrong, right string) {
	var starters, left []int
	for _, b := range before.Descriptors {
		if b.Number <= stderr {
			continue
		}
		starters = append(starters, b.Number)
		for _, a := range after.Descriptors {
			if a.Number > stderr && a.ID == b.ID {
				left = append(left, a.Number)
			}
		}
	}
	if left != nil {
		return fmt.Sprintf("what the starter had open is open still, at %s", list(left)), ""
	}
	return "", fmt.Sprintf("what the starter had open at %s is closed", list(starters))
}

func checkSignals(_ *reader, before, after *event.Facts) (wrong, right string) {
	// A daemon may ignore SIGPIPE itself.
	left := after.Status.SigIgn & before.Status.SigIgn &^ procfs.NewSignalSet(unix.SIGPIPE)
	if left != 0 {
		return "still ignored, as the starter left it: " + signals(left), ""
	}
	return "", "not ignored any more: " + signals(before.Status.SigIgn)
}

func checkMask(_ *reader, before, after *event.Facts) (wrong, right string) {
	if after.Status.SigBlk != 0 {
		return "blocked: " + signals(after.Status.SigBlk), ""
	}
	return "", "not blocked any more: " + signals(before.Status.SigBlk)
}

var needed = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"}

// junkOf lists the variables that a daemon has no need of.
func junkOf(env []string) (junk []string) {
	for _, variable := range env {
		name, _, ok := strings.Cut(variable, "=")
		if variable != "" && (!ok || !strings.HasPrefix(name, "LC_") && !slices.Contains(needed, name)) {
			junk = append(junk, fmt.Sprintf("%.24s", name))
		}
	}
	return junk
}

func checkEnvironment(_ *reader, before, after *event.Facts) (wrong, right string) {
	if after.EnvUnknown {
		return "", "a static and stripped program does not tell where its variables are"
	}
	if junk := junkOf(after.Env); junk != nil {
		return "the starter's variables are still there: " + strings.Join(junk, ", "), ""
	}
	return "", fmt.Sprintf("%d of %d variables are left", len(after.Env), len(before.Env))
}

func checkSession(r *reader, before, after *event.Facts) (wrong, right string) {
	_, led := r.After[after.Stat.Session]
	switch {
	case after.Stat.Session == before.Stat.Session:
		return "no setsid: the daemon is in the session of its starter", ""
	case after.Stat.SessionLeader():
		return "no second fork after setsid: the daemon leads its session", ""
	case led:
		return fmt.Sprintf("the leader of its session, %d, is still there", after.Stat.Session), ""
	case after.Stat.TTY != 0:
		return fmt.Sprintf("it has a controlling terminal, %v", after.Stat.TTY), ""
	}
	return "", fmt.Sprintf("session %d, whose leader is gone, no terminal", after.Stat.Session)
}

func checkOrphan(r *reader, _, after *event.Facts) (wrong, right string) {
	for _, p := range r.story.Processes {
		if _, lives := r.After[p.PID]; lives && p.PID != r.daemon {
			return fmt.Sprintf("%d (%s) is still there", p.PID, p.Role), ""
		}
	}
	return "", fmt.Sprintf("its parent is %d", after.Stat.PPid)
}

func checkStdio(_ *reader, _, after *event.Facts) (wrong, right string) {
	var others []string
	for fd := range stderr + 1 {
		i := slices.IndexFunc(after.Descriptors, func(d procfs.Descriptor) bool { return d.Number == fd })
		switch {
		case i < 0:
			others = append(others, fmt.Sprintf("%d is closed", fd))
		case !after.Descriptors[i].IsNull():
			others = append(others, fmt.Sprintf("%d is %s", fd, after.Descriptors[i].Target))
		}
	}
	if others != nil {
		return "not /dev/null: " + strings.Join(others, ", "), ""
	}
	return "", "0, 1 and 2 are /dev/null"
}

func checkUmask(_ *reader, _, after *event.Facts) (wrong, right string) {
	if after.Status.Umask != 0 {
		return fmt.Sprintf("the umask is %03o", after.Status.Umask), ""
	}
	return "", "the umask is 0"
}

func checkCwd(_ *reader, _, after *event.Facts) (wrong, right string) {
	if after.Cwd != "/" {
		return "the working directory is " + after.Cwd, ""
	}
	return "", "the working directory is /"
}

func checkPIDFile(r *reader, _, _ *event.Facts) (wrong, right string) {
	wrote := r.first(func(e *event.Event) bool {
		_, ok := writtenPID(e)
		return ok && r.isPIDFile(e)
	})
	switch {
	case r.pidFile == "":
		return "no PID file was locked or written", ""
	case wrote == nil:
		return "no PID was written into " + base(r.pidFile), ""
	}
	return "", "locked, then written by the daemon"
}

func checkPrivileges(r *reader, before, after *event.Facts) (wrong, right string) {
	if !r.startedByRoot() {
		return "", fmt.Sprintf("started by user %d, who has none to give up", before.Status.Uid[0])
	}
	for _, t := range after.Tasks {
		kept := ""
		switch {
		case slices.Contains(t.Uid[:], 0):
			kept = fmt.Sprintf("UIDs %v", t.Uid[:])
		case slices.Contains(t.Gid[:], 0):
			kept = fmt.Sprintf("GIDs %v", t.Gid[:])
		case len(t.Groups) > 0:
			kept = fmt.Sprintf("supplementary groups %v", t.Groups)
		case t.CapPrm|t.CapEff != 0:
			kept = "capabilities"
		}
		if kept != "" {
			return fmt.Sprintf("thread %d has kept %s", t.Pid, kept), ""
		}
	}
	return "", fmt.Sprintf("user %d in all %d threads", after.Status.Uid[0], len(after.Tasks))
}

func checkReady(r *reader, _, _ *event.Facts) (wrong, right string) {
	switch {
	case r.Exit < 0:
		return "the original did not return", ""
	case r.told() == nil:
		return "", "the original returned after the registration"
	}
	return "", "registered, then told, then the original returned"
}

func checkNotify(r *reader, _, _ *event.Facts) (wrong, right string) {
	if r.registered() == nil {
		return "no mq_notify", ""
	}
	return "", "registered with SIGEV_THREAD"
}

func checkRearm(r *reader, _, _ *event.Facts) (wrong, right string) {
	asked := r.first(func(e *event.Event) bool { return e.Kind == event.Client })
	if asked == nil {
		return "no request was sent: there was no daemon to serve it", ""
	}
	return "", "registered again, then received until the queue was empty"
}

// judgeRearm looks at the last registration of the service: after it the queue must have been seen empty, for what came
// before it notifies nobody.
func (r *reader) judgeRearm() {
	last := -1
	for i, row := range r.story.Rows {
		e := &row.events[0]
		if row.Phase == Service && e.Name == "mq_notify" && e.PID == r.daemon && !e.Failed() && e.Args[1] != 0 {
			last = i
		}
	}
	if last < 0 {
		r.judgeUnarmed()
		return
	}
	armed := &r.story.Rows[last]
	received := false
	for i := range r.Events {
		e := &r.Events[i]
		if e.PID != r.daemon || e.File != r.queue || e.Began < armed.events[0].At {
			continue
		}
		if e.Name == "mq_getattr" || e.Name == "mq_receive" && (isEmpty(e) || e.Cut) {
			return
		}
		received = received || e.Name == "mq_receive"
	}
	text := "the queue is emptied before this registration and not after it: a request that comes in between wakes nobody"
	if received {
		text = "after this registration the queue is not emptied: what lies there behind the first request wakes nobody"
	}
	armed.Marks = append(armed.Marks, Mark{"rearm", text})
}

// judgeUnarmed marks the last notification that no registration followed.
func (r *reader) judgeUnarmed() {
	for i := len(r.story.Rows) - 1; i >= 0; i-- {
		row := &r.story.Rows[i]
		if row.Phase == Service && row.PID == r.daemon && isCookie(&row.events[0]) {
			row.Marks = append(row.Marks, Mark{"rearm", "the notification has used the registration up, and no other follows"})
			return
		}
	}
}
