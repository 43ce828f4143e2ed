package birth

import (
	"slices"

	"golang.org/x/sys/unix"

	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/event"
)

// judge marks what no state shows: the order of calls, and races with other processes.
func (r *reader) judge(e *event.Event) []Mark {
	switch {
	case e.Kind == event.Client && e.Name == "mq_send":
		r.waiting++
	case e.Name == "mq_receive" && e.File == r.ArmedAt && !e.Failed() && r.phase == Service:
		r.waiting--
	case e.Kind == event.Client && e.Unserved && r.waiting > 0:
		return []Mark{{"rearm", say("a request is left unserved")}}
	case e.Kind == event.Client && e.Unserved:
		return []Mark{{"protocol", say("a request is received, but its answer never ends")}}
	case e.Kind == event.Born && r.phase == Service && e.PID == r.daemon && r.story.Lab:
		return []Mark{{"threads", say("a child process: transfers must run in threads")}}
	case e.Kind == event.Call && r.phase == Birth && r.isPIDFile(e.File) && !e.Failed():
		return r.judgePIDFile(e)
	}
	return nil
}

// judgePIDFile looks for calls that destroy a running instance's PID: any change of an existing file before it is
// locked. Where no lock is kept, only that is marked.
func (r *reader) judgePIDFile(e *event.Event) (marks []Mark) {
	if isOpen(e) && r.follows(e) {
		marks = append(marks, Mark{"pidfile", say("no O_NOFOLLOW: through a symbolic link another file is overwritten")})
	}
	switch text, lost := r.loses(e); {
	case !r.pidFile.Locked: // a lock given up at once excludes nobody
	case e == r.lock && waits(e):
		marks = append(marks, Mark{"instance", say("waits for the lock: a second instance would hang instead of failing")})
	case lost && (r.lock == nil || e.At < r.lock.At):
		marks = append(marks, Mark{"instance", text})
	}
	return marks
}

// follows reports whether a symbolic link in place of the PID file would be followed: the file is written through this
// descriptor, not renamed into place, and the name was not checked before.
func (r *reader) follows(e *event.Event) bool {
	if e.Value&unix.O_ACCMODE == unix.O_RDONLY || e.Value&(unix.O_NOFOLLOW|unix.O_PATH) != 0 ||
		e.Value&unix.O_EXCL != 0 && e.Value&unix.O_CREAT != 0 || len(r.pidFile.Called) > 1 {
		return false
	}
	first := r.Find(func(w *event.Event) bool { return w.Writes() && r.isPIDFile(w.File) })
	looked := r.Find(func(l *event.Event) bool {
		return (l.Name == "lstat" || l.Name == "unlink") && r.isPIDFile(l.File) && l.At < first.At
	})
	return e.At < first.At && looked == nil
}

func (r *reader) loses(e *event.Event) (text rubric.Text, lost bool) {
	switch {
	case isOpen(e):
		return say("O_TRUNC before the lock: the PID of a running instance is lost"),
			e.Value&unix.O_TRUNC != 0 && e.Value&unix.O_EXCL == 0
	case e.Name == "unlink":
		return say("it is removed before the lock: a second instance would not see the first one's lock"), true
	case e.Writes(), e.Name == "ftruncate", e.Name == "truncate":
		made := r.Find(func(o *event.Event) bool {
			return isOpen(o) && r.isPIDFile(o.File) && !o.Failed() && o.Value&unix.O_EXCL != 0
		})
		return say("it is changed before the lock: the PID of a running instance is lost"), made == nil
	}
	return text, false
}

// isLock selects the calls that lock a file.
func isLock(e *event.Event) bool {
	return e.Name == "flock" && e.Args[1]&unix.LOCK_UN == 0 || e.Name == "fcntl" && e.Value != unix.F_UNLCK
}

func isUnlock(e *event.Event) bool {
	return (e.Name == "flock" || e.Name == "fcntl") && !isLock(e)
}

func waits(e *event.Event) bool {
	if e.Name == "flock" {
		return e.Args[1]&unix.LOCK_NB == 0
	}
	return e.Args[1] == unix.F_SETLKW || e.Args[1] == unix.F_OFD_SETLKW
}

func isOFD(e *event.Event) bool {
	return e.Args[1] == unix.F_OFD_SETLK || e.Args[1] == unix.F_OFD_SETLKW
}

// judgeRearm checks that the queue was seen empty after the last registration: a message that came before it notifies
// nobody.
func (r *reader) judgeRearm() {
	last := -1
	for i, row := range r.story.Rows {
		if row.Phase == Service && row.PID == r.daemon && row.events[0].Registers() {
			last = i
		}
	}
	if last < 0 {
		r.judgeUnarmed()
		return
	}
	armed := &r.story.Rows[last]
	received := false
	for _, e := range r.Events {
		if e.PID != r.daemon || e.File != r.ArmedAt || e.Began < armed.events[0].At {
			continue
		}
		if e.Name == "mq_getattr" || e.Name == "mq_receive" &&
			(e.Cut || e.Result == -int64(unix.EAGAIN) || e.Result == -int64(unix.ETIMEDOUT)) {
			return
		}
		received = received || e.Name == "mq_receive"
	}
	text := say("the queue is drained before this registration and not after it: no notification comes for a " +
		"request in between")
	if received {
		text = say("the queue is not drained after this registration: no notification comes for requests behind " +
			"the first")
	}
	armed.Marks = append(armed.Marks, Mark{"rearm", text})
}

// judgeUnarmed marks the last notification if no registration followed.
func (r *reader) judgeUnarmed() {
	for _, row := range slices.Backward(r.story.Rows) {
		if row.Phase == Service && row.PID == r.daemon && isCookie(row.events[0]) {
			r.mark(Mark{"rearm", say("the notification consumed the registration, and no other follows")},
				func(x *Row) bool { return x.At == row.At && x.PID == row.PID })
			return
		}
	}
}
