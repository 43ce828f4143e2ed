package birth

import (
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"daemonlab/specs/facts"
	"daemonlab/specs/trace/event"
)

// place returns the step that an event belongs to and whether it is shown. Successive events of one process with the
// same group, other than "", share a row.
func (r *reader) place(e *event.Event) (id, group string, shown bool) {
	start := r.phase == Birth
	switch e.Kind {
	case event.Born:
		switch {
		case slices.Contains(r.line, int(e.Result)):
			id = "session"
		case r.phase != Birth && r.story.Lab && e.PID == r.daemon:
			id = "threads"
		}
		return id, "", true
	case event.Executed:
		if e.PID != r.original && r.junk && facts.Junk(e.Env) == nil {
			r.junk, id = false, "env"
		}
		return id, "", true
	case event.Ended:
		switch {
		case !start:
		case e.PID == r.original:
			id = "ready"
		case slices.ContainsFunc(r.story.Processes, func(p Process) bool { return p.Parent == e.PID && slices.Contains(r.line, p.PID) }):
			id = "orphan"
		}
		return id, "", true
	case event.Adopted:
		return "orphan", "", e.PID == r.daemon
	case event.Client:
		return "", "", true
	case event.Told:
		return "", "", e.Result == int64(unix.SIGTERM)
	}
	if r.isPIDFile(e.File) || r.isPIDFile(e.To) {
		return r.placePIDFile(e)
	}
	if !slices.Contains(r.line, e.PID) {
		return "", "", false
	}
	if start {
		return r.placeStart(e)
	}
	return r.placeService(e)
}

func (r *reader) placePIDFile(e *event.Event) (id, group string, shown bool) {
	switch e.Name {
	case "close":
		return "pidfile", "", r.phase == Birth && r.lock != nil && e.At > r.lock.At
	case "lstat", "dup", "dup2", "dup3", "read":
		return "", "", false
	case "open":
		return "pidfile", "", r.phase == Birth
	}
	return "pidfile", "", true
}

// identity are the calls that drop privileges.
var identity = []string{"setgroups", "setresgid", "setresuid", "setgid", "setuid", "setregid", "setreuid", "capset"}

func (r *reader) placeStart(e *event.Event) (id, group string, shown bool) {
	failed := e.Failed()
	switch e.Name {
	case "clone", "clone3", "fork", "vfork":
		if e.PID != r.daemon {
			id = "session"
		}
		return id, "", failed
	case "setsid", "setpgid":
		return "session", "", true
	case "wait4", "waitid":
		if slices.Contains(r.line, int(e.Result)) {
			id = "orphan"
		}
		return id, "", e.Result > 0
	case "execve":
		return "", "exec", failed
	case "close_range":
		return "fds", "", e.Args[1] >= facts.Stdio
	case "close":
		_, starters := r.inherited(e)
		return "fds", "close", e.Args[0] >= facts.Stdio && (starters || e.Result == -int64(unix.EBADF))
	case "sigaction":
		return r.placeAction(e)
	case "sigprocmask":
		return "sigmask", "", r.unblocks(e)
	case "umask":
		return "umask", "", true
	case "chdir", "fchdir":
		if e.Path+e.File == "/" {
			id = "cwd"
		}
		return id, "", true
	case "dup2", "dup3":
		return "stdio", "dup", e.Args[1] < facts.Stdio && !failed && (e.File == "/dev/null" || e.PID == r.daemon)
	case "open":
		return "stdio", "", !failed && e.Result < facts.Stdio
	case "prctl":
		name := prctls[e.Args[0]]
		if name.privileges {
			id = "privileges"
		}
		return id, callText(e), name.name != ""
	case "setns", "unshare":
		return "", callText(e), true
	case "pipe":
		return "ready", "", r.isPipe(e)
	case "read":
		return "ready", "told", r.isPipe(e) && e.PID == r.original
	}
	switch {
	case slices.Contains(identity, e.Name):
		return "privileges", callText(e), true
	case e.Writes() && r.isPipe(e):
		return "ready", "", true
	case isSend(e) && isManager(r.sockets[e.File]):
		return "", "send " + e.File, true
	}
	return r.placeQueue(e)
}

func (r *reader) placeService(e *event.Event) (id, group string, shown bool) {
	if isCookie(e) {
		return "notify", "", true
	}
	if e.Name == "mq_send" { // attempts that found a reply queue full are left out
		return "", "send " + e.File, e.Result != -int64(unix.EAGAIN) && e.Result != -int64(unix.ETIMEDOUT)
	}
	return r.placeQueue(e)
}

func (r *reader) placeQueue(e *event.Event) (id, group string, shown bool) {
	start := r.phase == Birth
	switch e.Name {
	case "mq_open":
		if e.Path == r.ArmedAt {
			id = "notify"
		}
		return id, "", !start || id != "" || r.ArmedAt == ""
	case "mq_unlink":
		return "notify", "", e.Path == r.ArmedAt
	case "mq_notify":
		if start {
			return "notify", "", true
		}
		return "rearm", "", true
	case "mq_receive":
		if start {
			return "backlog", "", e.File == r.ArmedAt
		}
		return "rearm", "", e.File == r.ArmedAt
	}
	return "", "", false
}

// inherited reports whether a descriptor is still the one that the starter left at that number.
func (r *reader) inherited(e *event.Event) (fd int, ok bool) {
	for _, d := range r.Before.Descriptors {
		if d.Number >= facts.Stdio && uint64(d.Number) == e.Args[0] {
			return d.Number, d.Target == e.File
		}
	}
	return 0, false
}

const (
	sigDfl = 0
	sigIgn = 1
	// glibc reserves these (nptl(7)).
	sigCancel = 32
	sigSetxid = 33
)

// placeAction assigns to a step a change of a signal that the starter ignored: exec resets only caught ones.
func (r *reader) placeAction(e *event.Event) (id, group string, shown bool) {
	switch {
	case e.Failed():
		return "", "", false
	case e.Value == sigIgn:
		return "", "ignored", true
	case e.Value != sigDfl:
		return "", "handled", e.Args[0] != sigCancel && e.Args[0] != sigSetxid
	case r.Before.Status.SigIgn.Has(syscall.Signal(e.Args[0])):
		id = "signals"
	}
	return id, "default", true
}

// how of sigprocmask(2).
const (
	sigUnblock = 1
	sigSetmask = 2
)

// unblocks selects the calls that unblock what the starter blocked. A runtime that blocks all signals for a moment and
// restores the mask does not count.
func (r *reader) unblocks(e *event.Event) bool {
	starters := uint64(r.Before.Status.SigBlk)
	after := e.Old
	switch e.Args[0] {
	case sigUnblock:
		after = e.Old &^ e.Value
	case sigSetmask:
		after = e.Value
	}
	own := e.Old &^ starters // a runtime may unblock some of the starter's at once, but never blocks others for long
	return e.Old != 0 && own == 0 && after&starters == 0
}

const (
	cookieSize = 32 // NOTIFY_COOKIE_LEN
	wokenUp    = 1  // NOTIFY_WOKENUP, its last byte
)

// isCookie selects the cookies that announce a message, see mq_notify(2).
func isCookie(e *event.Event) bool {
	return e.Result == cookieSize && len(e.Data) == cookieSize && e.Data[cookieSize-1] == wokenUp &&
		strings.HasPrefix(e.File, "socket:") && (e.Name == "read" || e.Name == "recv")
}

func isPipe(file string) bool { return strings.HasPrefix(file, "pipe:") }

func isOpen(e *event.Event) bool { return e.Name == "open" }

func isSend(e *event.Event) bool { return e.Writes() || e.Name == "sendto" || e.Name == "sendmsg" }

// isManager selects the sockets of syslog and of a service manager, see sd_notify(3).
func isManager(socket string) bool {
	return socket == "/dev/log" || strings.Contains(socket, "/run/systemd/")
}
