package birth

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"daemonlab/specs/trace/event"
)

func judgeFailed(id string) func(*reader, *event.Event) []Mark {
	return func(_ *reader, e *event.Event) []Mark {
		if !e.Failed() {
			return nil
		}
		return []Mark{{id, fmt.Sprintf("%s fails with %s", e.Name, e.Errno())}}
	}
}

func judgeBorn(r *reader, e *event.Event) []Mark {
	if r.phase == Service && e.PID == r.daemon {
		return []Mark{{"threads", "a child process: transfers are to run in threads"}}
	}
	return nil
}

// judgeEnded looks at the original, which returns when all is done and not before.
func judgeEnded(r *reader, e *event.Event) []Mark {
	if e.PID != r.original || r.phase == End {
		return nil
	}
	registered := r.registered()
	status := signalled(e)
	switch {
	case status.Signaled():
		return []Mark{{"ready", fmt.Sprintf("the original is killed by %v", status.Signal())}}
	case status.ExitStatus() != 0:
		return []Mark{{"ready", fmt.Sprintf("the start fails: exit status %d", status.ExitStatus())}}
	case registered == nil:
		return []Mark{{"ready", "it returns 0, but nobody is registered for notification then or later"}}
	case registered.At > e.At:
		return []Mark{{"ready", "it returns 0 before the daemon is registered for notification"}}
	}
	return nil
}

// judgeAnswer marks a request that was not answered.
func judgeAnswer(_ *reader, e *event.Event) []Mark {
	if !e.Unserved {
		return nil
	}
	return []Mark{{"rearm", "a request is left unserved"}}
}

func judgeSetsid(r *reader, e *event.Event) []Mark {
	switch {
	case e.Failed() && e.PID == r.original:
		return []Mark{{"session", fmt.Sprintf("%s: the original leads its process group, so it has to fork first", e.Errno())}}
	case e.Failed():
		return judgeFailed("session")(r, e)
	case e.PID == r.daemon:
		return []Mark{{"session", "no second fork after it: the daemon leads its session, and a terminal that it opens " +
			"becomes its controlling terminal"}}
	}
	return nil
}

func judgeSetpgid(r *reader, e *event.Event) []Mark {
	called := r.first(func(e *event.Event) bool { return e.Name == "setsid" && !e.Failed() })
	if called != nil {
		return nil
	}
	return []Mark{{"session", "a process group is no session: setsid is missing"}}
}

func judgeCloseRange(r *reader, e *event.Event) []Mark {
	if e.Failed() {
		return judgeFailed("fds")(r, e)
	}
	var missed []int
	for _, d := range r.Before.Descriptors {
		if d.Number > stderr && (uint64(d.Number) > e.Args[1]&0xffffffff || uint64(d.Number) < e.Args[0]) {
			missed = append(missed, d.Number)
		}
	}
	if missed == nil || e.PID != r.original {
		return nil
	}
	return []Mark{{"fds", fmt.Sprintf("misses what the starter has open at %s", list(missed))}}
}

func judgeClose(r *reader, e *event.Event) []Mark {
	if !r.isPIDFile(e) || !r.lock.held || e.PID != r.lock.pid {
		return nil
	}
	switch {
	case r.lock.posix:
		r.lock.held = false
		return []Mark{{"pidfile", "the lock is gone: closing any descriptor of the file ends a lock of fcntl(2)"}}
	case e.Args[0] == r.lock.fd:
		r.lock.held = false
		return []Mark{{"pidfile", "the lock is gone with the descriptor that it was taken through"}}
	}
	return nil
}

func judgeUmask(r *reader, e *event.Event) []Mark {
	if e.PID == r.daemon && e.Args[0]&0o777 != 0 {
		return []Mark{{"umask", fmt.Sprintf("%03o is not 0", e.Args[0]&0o777)}}
	}
	return nil
}

func judgeOpen(r *reader, e *event.Event) (marks []Mark) {
	if !r.isPIDFile(e) || e.Failed() || e.Value&unix.O_ACCMODE == unix.O_RDONLY {
		return nil
	}
	if e.Value&unix.O_TRUNC != 0 && !r.lock.held {
		marks = append(marks, Mark{"instance", "O_TRUNC comes before the lock: the PID of an instance that runs is lost"})
	}
	if e.Value&unix.O_NOFOLLOW == 0 && e.Value&unix.O_EXCL == 0 {
		marks = append(marks, Mark{"pidfile", "no O_NOFOLLOW: a symbolic link has another file overwritten"})
	}
	return marks
}

func judgeLock(r *reader, e *event.Event) []Mark {
	posix := e.Name == "fcntl"
	unlocks := e.Args[1]&unix.LOCK_UN != 0
	waits := e.Args[1]&unix.LOCK_NB == 0
	if posix {
		unlocks = e.Value == unix.F_UNLCK
		waits = e.Args[1] == unix.F_SETLKW || e.Args[1] == unix.F_OFD_SETLKW
	}
	switch {
	case e.Failed():
		return nil // another instance has it, which is what a lock is for
	case unlocks && e.PID == r.lock.pid && r.lock.held:
		r.lock.held = false
		return []Mark{{"pidfile", "the daemon gives the lock up"}}
	case unlocks:
		return nil
	}
	r.lock = lock{held: true, posix: posix && e.Args[1] < unix.F_OFD_SETLK, pid: e.PID, fd: e.Args[0]}
	if waits {
		return []Mark{{"instance", "waits for the lock: a second instance would hang instead of failing"}}
	}
	return nil
}

func judgeWrite(r *reader, e *event.Event) (marks []Mark) {
	if !r.isPIDFile(e) {
		return r.judgeWord(e)
	}
	pid, ok := writtenPID(e)
	if !ok {
		return nil
	}
	if !r.lock.held {
		marks = append(marks, Mark{"pidfile", "the PID is written without the lock"})
	}
	if pid != r.daemon {
		marks = append(marks, Mark{"pidfile", fmt.Sprintf("%d is the %s, the daemon is %d", pid, r.story.Role(pid), r.daemon)})
	}
	return marks
}

// judgeWord looks at the last word to the original.
func (r *reader) judgeWord(e *event.Event) []Mark {
	last := r.told()
	if last.At != e.At {
		return nil
	}
	if registered := r.registered(); registered != nil && registered.At > e.At {
		return []Mark{{"ready", "readiness is told before mq_notify: a request that comes now notifies nobody"}}
	}
	return nil
}

func judgeTruncate(r *reader, e *event.Event) []Mark {
	if r.lock.held || r.phase != Birth {
		return nil
	}
	return []Mark{{"instance", "it is truncated before the lock: the PID of an instance that runs is lost"}}
}

// noID leaves an ID as it is, in the calls that set several.
const noID = 0xffffffff

func judgeIdentity(r *reader, e *event.Event) []Mark {
	switch {
	case e.Failed() && r.asksForRoot(e):
		return nil // a proof that root cannot be had back
	case e.Failed():
		return judgeFailed("privileges")(r, e)
	case !r.startedByRoot() || e.Name != "setresuid" && e.Name != "setresgid":
		return nil
	}
	kept := map[int]string{0: "real", 1: "effective", 2: "saved"}
	var names []string
	for i := range len(kept) {
		if e.Args[i]&0xffffffff == noID {
			names = append(names, kept[i])
		}
	}
	if names == nil {
		return nil
	}
	return []Mark{{"privileges", fmt.Sprintf("the %s ID stays: root can be had back", and(names))}}
}

func (r *reader) asksForRoot(e *event.Event) bool {
	return e.Result == -int64(unix.EPERM) && e.Name != "setgroups" && slices.Contains(e.Args[:3], 0)
}

func judgeQueue(r *reader, e *event.Event) []Mark {
	if r.phase == Birth && e.Failed() && e.Result != -int64(unix.EEXIST) {
		return judgeFailed("notify")(r, e)
	}
	return nil
}

// sigevThread is SIGEV_THREAD of sigevent(3type).
const sigevThread = 2

func judgeNotify(r *reader, e *event.Event) []Mark {
	switch {
	case e.Args[1] == 0 || e.Result == -int64(unix.EBUSY):
		return nil
	case e.Failed():
		return judgeFailed("notify")(r, e)
	case e.Value != sigevThread:
		return []Mark{{"notify", "not SIGEV_THREAD: the transfer does not start in a thread of its own"}}
	case e.PID != r.daemon:
		return []Mark{{"notify", "the registration belongs to this process, and goes with it"}}
	}
	return nil
}
