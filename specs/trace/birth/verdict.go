package birth

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/procfs"
	"daemonlab/lab/wire"
	"daemonlab/specs/facts"
	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/event"
)

// fault is a fault in the daemon's final state. It is marked at the last call that fits, which caused it; without one,
// where the start ends.
type fault struct {
	text rubric.Text
	by   func(e *event.Event) bool
}

// A check returns the faults that the facts show; without faults, right describes what was seen.
type check func(r *reader) (faults []fault, right rubric.Text)

// checks are the ids that one trace can judge. Other rows of the rubric need more than one start.
var checks = map[string]check{
	"fds": checkDescriptors, "signals": checkSignals, "sigmask": checkMask, "env": checkEnvironment,
	"session": checkSession, "orphan": checkOrphan, "stdio": checkStdio, "umask": checkUmask, "cwd": checkCwd,
	"pidfile": checkPIDFile, "privileges": checkPrivileges, "ready": checkReady, "notify": checkNotify,
	"rearm": checkRearm, "sigterm": checkSigterm, "instance": checkInstance,
}

// ofLab are the ids that apply only to programs with a queue. Other programs may exclude a second instance by other
// means, such as a port.
var ofLab = []string{"instance", "notify", "rearm"}

// giveVerdicts judges each id. Without a daemon only the start is judged.
func (r *reader) giveVerdicts() {
	for _, row := range rubric.Standard() {
		v := Verdict{Row: row, OK: true}
		check, known := checks[row.ID]
		known = known && (r.daemon != 0 || row.ID == "ready") && (r.story.Lab || !slices.Contains(ofLab, row.ID))
		if known {
			var faults []fault
			faults, v.Text = check(r)
			if r.marked(row.ID) == nil || row.ID == "pidfile" { // a marked call explains it better
				for _, f := range faults {
					r.markFault(row.ID, f)
				}
			}
		}
		m := r.marked(row.ID)
		if m != nil {
			v.OK, v.Text = false, m.Text
		}
		if known || m != nil {
			r.story.Verdicts = append(r.story.Verdicts, v)
		}
	}
}

func (r *reader) marked(id string) *Mark {
	for _, row := range r.story.Rows {
		for _, m := range row.Marks {
			if m.ID == id {
				return &m
			}
		}
	}
	return nil
}

// markFault marks a fault at its call, or where the start ends.
func (r *reader) markFault(id string, f fault) {
	m := Mark{id, f.text}
	if f.by != nil && r.mark(m, func(row *Row) bool { return row.Phase == Birth && row.has(f.by) }) {
		return
	}
	at := slices.IndexFunc(r.story.Rows, func(row Row) bool { return row.Phase != Birth })
	if at < 0 || id == "rearm" || id == "sigterm" {
		at = len(r.story.Rows)
	}
	row := Row{PID: r.daemon, Marks: []Mark{m}, ID: id}
	if at > 0 {
		row.At, row.Phase = r.story.Rows[at-1].At, r.story.Rows[at-1].Phase
	}
	if row.PID == 0 {
		row.PID = r.original
	}
	row.TID = row.PID
	r.story.Rows = slices.Insert(r.story.Rows, at, row)
}

// mark marks the last row that fits.
func (r *reader) mark(m Mark, fits func(row *Row) bool) bool {
	for i := range slices.Backward(r.story.Rows) {
		if row := &r.story.Rows[i]; fits(row) {
			row.Marks = append(row.Marks, m)
			return true
		}
	}
	return false
}

// by selects calls of these names that shaped the daemon's state: its own, and its ancestors' before they forked it.
func (r *reader) by(names ...string) func(e *event.Event) bool {
	return func(e *event.Event) bool {
		at := slices.Index(r.line, e.PID)
		return e.Kind == event.Call && slices.Contains(names, e.Name) && at >= 0 && (at == 0 || e.At <= r.born[r.line[at-1]])
	}
}

// one is the usual answer of a check.
func one(wrong bool, f fault, right rubric.Text) ([]fault, rubric.Text) {
	if wrong {
		return []fault{f}, right
	}
	return nil, right
}

func checkDescriptors(r *reader) ([]fault, rubric.Text) {
	var starters []procfs.FileID
	var numbers, left []int
	for _, d := range r.Before.Descriptors {
		if d.Number >= facts.Stdio {
			starters, numbers = append(starters, d.ID), append(numbers, d.Number)
		}
	}
	for _, d := range facts.Inherited(r.after.Descriptors, starters) {
		left = append(left, d.Number)
	}
	open := fault{say("the starter's descriptors are still open: %s", list(left)), r.by("close_range", "close")}
	return one(left != nil, open, say("the starter's descriptors are closed: %s", list(numbers)))
}

func checkSignals(r *reader) ([]fault, rubric.Text) {
	before := r.Before.Status.SigIgn
	ignored := facts.Ignored(r.after.Status)
	ignores := func(e *event.Event) bool { return r.by("sigaction")(e) && e.Value == sigIgn }
	left := ignored & before
	for _, e := range r.Events {
		if ignores(e) {
			left &^= procfs.NewSignalSet(syscall.Signal(e.Args[0]))
		}
	}
	f := fault{say("ignored, as the starter left it: %v", signals(left)), r.by("sigaction")}
	if left == 0 {
		f = fault{say("the daemon ignores %v of its own accord", signals(ignored)), ignores}
	}
	return one(ignored != 0, f, say("no longer ignored: %v", signals(before)))
}

func checkMask(r *reader) ([]fault, rubric.Text) {
	blocked := r.after.Status.SigBlk
	return one(blocked != 0, fault{say("blocked: %v", signals(blocked)), r.by("sigprocmask")},
		say("no longer blocked: %v", signals(r.Before.Status.SigBlk)))
}

func checkEnvironment(r *reader) ([]fault, rubric.Text) {
	if !r.after.Env.Live {
		return nil, say("not judged: the program's environment cannot be located")
	}
	var names []string
	for _, variable := range facts.Junk(r.after.Env.Vars) {
		name, _, _ := strings.Cut(variable, "=")
		names = append(names, fmt.Sprintf("%.24s", name))
	}
	return one(names != nil, fault{text: say("variables that no daemon needs: %s", strings.Join(names, ", "))},
		say("%d of %d variables are left", len(r.after.Env.Vars), len(r.Before.Env.Vars)))
}

func checkSession(r *reader) ([]fault, rubric.Text) {
	s := r.after.Stat
	own := facts.OwnSession(s, r.Before.Stat.Session)
	_, led := r.After[s.Session]
	f := fault{by: r.by("setsid")}
	switch setsid := r.Find(f.by); {
	case own && s.SessionLeader():
		f.text = say("no second fork after setsid: the daemon leads its session, and a terminal that it opens becomes its " +
			"controlling terminal")
	case own && led:
		f = fault{text: say("the leader of its session, %d, is still there", s.Session)}
	case own && !facts.NoTerminal(s):
		f = fault{text: say("it has a controlling terminal, %v", s.TTY.String())}
	case own:
		return nil, say("session %d, whose leader is gone, no terminal", s.Session)
	case setsid != nil && setsid.Failed():
		f.text = say("setsid fails with %s: a process group leader must fork first", setsid.Errno())
	case r.Find(r.by("setpgid")) != nil:
		f = fault{say("a process group is not a session: setsid is missing"), r.by("setpgid")}
	default:
		f.text = say("no setsid: the daemon is in the session of its starter")
	}
	return []fault{f}, rubric.Text{}
}

// checkOrphan looks for processes that the start left beside the daemon. A daemon other than this lab's may have
// children.
func checkOrphan(r *reader) (faults []fault, right rubric.Text) {
	if r.daemon == r.original {
		faults = append(faults, fault{text: say("it is the original itself, a child of its starter")})
	}
	for _, p := range r.story.Processes {
		_, lives := r.After[p.PID]
		own := !r.story.Lab && p.Role == say("daemon's child")
		if lives && p.PID != r.daemon && !own {
			faults = append(faults, fault{text: say("%d (%v) is still there", p.PID, p.Role)})
		}
	}
	return faults, say("its parent is %d", r.after.Stat.PPid)
}

func checkStdio(r *reader) (faults []fault, right rubric.Text) {
	for n := range facts.Stdio {
		i := slices.IndexFunc(r.after.Descriptors, func(d procfs.Descriptor) bool { return d.Number == n })
		text := say("%d is closed, not /dev/null", n)
		switch {
		case i >= 0 && facts.Null(r.after.Descriptors[i]):
			continue
		case i >= 0:
			text = say("%d is %s, not /dev/null", n, fileName(r.after.Descriptors[i].Target))
		}
		faults = append(faults, fault{text, func(e *event.Event) bool {
			return r.by("dup2", "dup3")(e) && e.Args[1] == uint64(n) || isOpen(e) && e.PID == r.daemon && e.Result == int64(n)
		}})
	}
	return faults, say("0, 1 and 2 are /dev/null")
}

func checkUmask(r *reader) ([]fault, rubric.Text) {
	return one(!facts.OpenMask(r.after.Status), fault{say("the umask is %03o", r.after.Status.Umask), r.by("umask")},
		say("the umask is 0"))
}

func checkCwd(r *reader) ([]fault, rubric.Text) {
	return one(!facts.AtRoot(r.after.Cwd), fault{say("the working directory is %s", r.after.Cwd), r.by("chdir", "fchdir")},
		say("the working directory is /"))
}

func checkPIDFile(r *reader) (faults []fault, right rubric.Text) {
	f := r.pidFile
	if f == nil {
		return []fault{{text: say("no PID was written to a file")}}, right
	}
	name := base(f.Name())
	on := func(fits func(e *event.Event) bool) func(e *event.Event) bool {
		return func(e *event.Event) bool { return (r.isPIDFile(e.File) || r.isPIDFile(e.To)) && fits(e) }
	}
	if f.Err != nil {
		return []fault{{say("%s cannot be read: %v", name, f.Err), on(r.by("unlink", "rename"))}}, right
	}
	if !f.Names(r.daemon) {
		text := say("%s holds %q, not %q", name, f.Content, fmt.Sprintln(r.daemon))
		if pid, err := strconv.Atoi(strings.TrimSpace(f.Content)); err == nil && pid != r.daemon && slices.Contains(r.PIDs(), pid) {
			text = say("%d is the %v; the daemon is %d", pid, r.story.Role(pid), r.daemon)
		}
		faults = append(faults, fault{text, on((*event.Event).Writes)})
	}
	if f.Mode != facts.PIDFileMode {
		faults = append(faults, fault{say("%s has mode %#o, not %#o", name, f.Mode, facts.PIDFileMode),
			on(func(e *event.Event) bool { return e.Name == "fchmod" || e.Name == "chmod" || isOpen(e) && !e.Existed })})
	}
	if !f.Locked {
		faults = append(faults, r.unlocked(name, on))
	}
	if r.Lost {
		faults = append(faults, fault{say("%s is no longer locked after requests have been served", name), nil})
	}
	return faults, say("%s is locked and holds the daemon's PID", name)
}

// unlocked explains why there is no lock. A lock of flock(2), or of fcntl(2) with F_OFD_SETLK, belongs to the open
// file description and goes with its last descriptor. One of F_SETLK belongs to the process and goes when it closes
// any.
func (r *reader) unlocked(name string, on func(func(e *event.Event) bool) func(e *event.Event) bool) fault {
	lock := r.FindLast(on(func(e *event.Event) bool { return isLock(e) && !e.Failed() }))
	if lock == nil {
		return fault{say("%s is not locked while the daemon runs", name), on((*event.Event).Writes)}
	}
	after := func(fits func(e *event.Event) bool) func(e *event.Event) bool {
		return on(func(e *event.Event) bool { return e.At > lock.At && fits(e) })
	}
	if gone := after(isUnlock); r.Find(gone) != nil {
		return fault{say("the lock is released"), gone}
	}
	posix := lock.Name == "fcntl" && !isOFD(lock)
	if posix && lock.PID != r.daemon {
		return fault{say("the lock is gone: a fcntl(2) lock belongs to the process that took it, and no child inherits it"),
			on(func(e *event.Event) bool { return e.At == lock.At })}
	}
	closes := after(func(e *event.Event) bool { return e.Name == "close" && (!posix || e.PID == lock.PID) })
	if posix {
		return fault{say("the lock is gone: closing any descriptor of the file releases a fcntl(2) lock"), closes}
	}
	return fault{say("the lock is gone: the last descriptor of the open file that holds it was closed"), closes}
}

func checkInstance(r *reader) ([]fault, rubric.Text) {
	other := r.Find(func(e *event.Event) bool { return isLock(e) && !e.Failed() && !r.isPIDFile(e.File) })
	return one((r.pidFile == nil || !r.pidFile.Locked) && other == nil,
		fault{text: say("no lock keeps a second instance from starting")}, say("a lock keeps a second instance from starting"))
}

func checkPrivileges(r *reader) ([]fault, rubric.Text) {
	st := r.after.Status
	uid, gid := st.Uid[1], st.Gid[1]
	if r.Before.Status.Uid[1] != 0 {
		return nil, say("started by user %d, who has no privileges to give up", r.Before.Status.Uid[0])
	}
	for _, t := range r.after.Tasks {
		text := say("thread %d has kept capabilities: %s", t.Pid, t.CapPrm|t.CapEff)
		switch {
		case slices.Contains(t.Uid[:], 0):
			text = say("thread %d is root or can become it: UIDs %s", t.Pid, list(t.Uid[:]))
		case slices.Contains(t.Gid[:], 0):
			text = say("thread %d has kept root's group: GIDs %s", t.Pid, list(t.Gid[:]))
		case !facts.Is(t, uid, gid):
			text = say("thread %d has UIDs %s, GIDs %s and groups %s", t.Pid, list(t.Uid[:]), list(t.Gid[:]), list(t.Groups))
		case facts.Powerless(t):
			continue
		}
		return []fault{{text, r.by(identity...)}}, rubric.Text{}
	}
	return nil, say("user %d in each of %d threads", uid, len(r.after.Tasks))
}

// checkReady checks that the original returns, or reads the last report that lets it, only when all is done.
func checkReady(r *reader) ([]fault, rubric.Text) {
	isEnd := func(e *event.Event) bool { return e.Kind == event.Ended && e.PID == r.original && e.At < r.served() }
	end, right := r.Find(isEnd), say("the original returned when the daemon was ready")
	if end == nil {
		return []fault{{text: say("the original did not return")}}, right
	}
	word := r.FindLast(func(e *event.Event) bool { return e.Writes() && r.isPipe(e) && e.PID != r.original && e.At < end.At })
	f := fault{by: isEnd}
	switch s, late := status(end), r.late(cmp.Or(word, end)); {
	case s.Signaled():
		f.text = say("the original is killed by %s", procfs.SignalName(s.Signal()))
	case s.ExitStatus() != 0:
		f.text = say("the start fails: exit status %d", s.ExitStatus())
	case r.daemon == 0:
		last := r.FindLast(func(e *event.Event) bool { return e.Kind == event.Ended })
		f = fault{say("the original returns 0, and no process is left"), func(e *event.Event) bool { return e == last }}
	case r.story.Lab && r.registered() == nil:
		f.text = say("it returns 0, but nobody is registered for notification then or later")
	case late != nil && word != nil:
		f = fault{say("readiness is reported before this is done: %v", late.Text), func(e *event.Event) bool { return e == word }}
	case late != nil:
		f.text = say("it returns 0 before this is done: %v", late.Text)
	case r.story.Lab && r.Mode != wire.QueueMode:
		f.text = say("the request queue has mode %#o, not %#o", r.Mode, wire.QueueMode)
		f.by = func(e *event.Event) bool { return e.Name == "mq_open" && e.Path == r.ArmedAt }
	default:
		return nil, right
	}
	return []fault{f}, right
}

// late returns the first step of the daemon that comes after an event, although the original must not return before
// it. Descriptors closed and signals unblocked after it are allowed: the specs wait for those.
func (r *reader) late(after *event.Event) *Row {
	pidWritten := r.Find(func(e *event.Event) bool {
		pid, ok := e.WrittenPID()
		return ok && pid == r.daemon && r.isPIDFile(e.File)
	})
	for i := range r.story.Rows {
		row := &r.story.Rows[i]
		if row.Phase == Birth && slices.Contains(r.line, row.PID) && row.has(func(e *event.Event) bool {
			switch {
			case e.At <= after.At || e.Failed():
				return false
			case row.ID == "privileges":
				return r.Before.Status.Uid[1] == 0 && slices.Contains(identity, e.Name)
			}
			return e == pidWritten || e == r.registered() || isLock(e) && r.isPIDFile(e.File) ||
				slices.Contains([]string{"signals", "env", "session", "stdio", "umask", "cwd"}, row.ID)
		}) {
			return row
		}
	}
	return nil
}

func checkNotify(r *reader) ([]fault, rubric.Text) {
	last := r.FindLast(func(e *event.Event) bool { return e.Name == "mq_notify" && e.Args[1] != 0 && e.At < r.served() })
	by := func(e *event.Event) bool { return last != nil && e.At == last.At }
	f := fault{say("the registration is gone: closing a descriptor of the queue ends it"), by}
	switch {
	case last == nil:
		f = fault{say("no mq_notify"), r.by("mq_open")}
	case last.Failed():
		f.text = say("%s fails with %s", last.Name, last.Errno())
	case last.Value != uint64(mq.SigevThread):
		f.text = say("not SIGEV_THREAD: the transfer does not start in a thread of its own")
	case last.PID != r.daemon:
		f.text = say("the registration belongs to this process, and ends with it")
	}
	return one(!facts.Registered(r.Armed, r.daemon), f, say("registered with SIGEV_THREAD"))
}

func checkRearm(r *reader) ([]fault, rubric.Text) {
	asked := r.Find(func(e *event.Event) bool { return e.Kind == event.Client })
	return one(asked == nil, fault{text: say("no request was sent: there was nobody to serve it")},
		say("registered again, then received until the queue was empty"))
}

func checkSigterm(r *reader) ([]fault, rubric.Text) {
	killed := r.Find(func(e *event.Event) bool {
		return e.Kind == event.Ended && e.PID == r.daemon && status(e).Signal() == unix.SIGTERM
	})
	switch {
	case r.Refuses.Pid != 0:
		after := int((r.told(unix.SIGKILL).At - r.told(unix.SIGTERM).At).Seconds())
		text := say("it is still running %d s after SIGTERM; the trace kills it", after)
		if r.Refuses.SigIgn.Has(unix.SIGTERM) {
			text = say("it is still running %d s after SIGTERM, which it ignores; the trace kills it", after)
		} else if r.Refuses.ShdPnd.Has(unix.SIGTERM) {
			text = say("it is still running %d s after SIGTERM, which all its threads block; the trace kills it", after)
		}
		return []fault{{text: text}}, rubric.Text{}
	case r.Left != nil:
		return []fault{{text: say("SIGTERM leaves this: %s", strings.Join(r.Left, ", "))}}, rubric.Text{}
	case r.story.Lab && killed != nil && !r.after.Status.SigCgt.Has(unix.SIGTERM):
		return []fault{{text: say("no handler: SIGTERM kills it, whatever it is doing")}}, rubric.Text{}
	}
	return nil, say("it ends on SIGTERM")
}

// served returns the time of the first request, or the end.
func (r *reader) served() (at time.Duration) {
	if e := r.Find(func(e *event.Event) bool { return e.Kind == event.Client || e.Kind == event.Told }); e != nil {
		return e.At
	}
	return math.MaxInt64
}
