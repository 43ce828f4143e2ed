package birth

import (
	"golang.org/x/sys/unix"

	"daemonlab/specs/trace/event"
)

// rule says what becomes of a kind of event.
type rule struct {
	// wants tells whether an event matters. Those of a process that follow each other and are of one group, which is
	// not "", share a row.
	wants func(r *reader, e *event.Event) (group string, matters bool)
	// judge marks what is wrong with an event, as the story stands when it comes. It may be nil.
	judge func(r *reader, e *event.Event) []Mark
	// draw gives a row its text and id.
	draw func(r *reader, row *Row)
}

var kindRules map[event.Kind]*rule
var callRules map[string]*rule

func init() {
	kindRules = map[event.Kind]*rule{
		event.Born:     {wants: always, judge: judgeBorn, draw: drawBorn},
		event.Executed: {wants: always, draw: drawExecuted},
		event.Ended:    {wants: always, judge: judgeEnded, draw: drawEnded},
		event.Adopted:  {wants: daemons, draw: drawAdopted},
		event.Client:   {wants: always, judge: judgeAnswer, draw: drawClient},
		event.Told:     {wants: always, draw: drawTold},
	}
	identity := &rule{wants: identities, judge: judgeIdentity, draw: drawIdentity}
	descend := &rule{wants: failed, judge: judgeFailed("session"), draw: drawCall("session")}
	open := &rule{wants: opens, judge: judgeOpen, draw: drawOpen}
	dup := &rule{wants: dups, draw: drawDup}
	write := &rule{wants: writes, judge: judgeWrite, draw: drawWrite}
	receive := &rule{wants: notifiedOrTold, draw: drawReceived}
	locks := &rule{wants: aboutPIDFile, judge: judgeLock, draw: drawLock}
	wait := &rule{wants: waits, draw: drawWait}
	callRules = map[string]*rule{
		"clone": descend, "clone3": descend, "fork": descend, "vfork": descend,
		"setsid":      {wants: beforeService, judge: judgeSetsid, draw: drawCall("session")},
		"setpgid":     {wants: beforeService, judge: judgeSetpgid, draw: drawCall("session")},
		"wait4":       wait,
		"waitid":      wait,
		"close_range": {wants: closesRange, judge: judgeCloseRange, draw: drawCloseRange},
		"close":       {wants: closes, judge: judgeClose, draw: drawClose},
		"sigaction":   {wants: actions, draw: drawActions},
		"sigprocmask": {wants: unblocks, draw: drawUnblocks},
		"umask":       {wants: beforeService, judge: judgeUmask, draw: drawUmask},
		"chdir":       {wants: beforeService, judge: judgeFailed("cwd"), draw: drawChdir},
		"fchdir":      {wants: beforeService, judge: judgeFailed("cwd"), draw: drawChdir},
		"dup2":        dup, "dup3": dup,
		"open": open, "openat": open, "openat2": open, "creat": open,
		"flock": locks, "fcntl": locks,
		"write": write, "pwrite": write,
		"ftruncate": {wants: aboutPIDFile, judge: judgeTruncate, draw: drawPIDFile},
		"fchmod":    {wants: aboutPIDFile, draw: drawPIDFile},
		"unlink":    {wants: removesPIDFile, draw: drawUnlink},
		"pipe":      {wants: readinessPipe, draw: drawPipe},
		"read":      receive, "recv": receive,
		"setgroups": identity, "setresgid": identity, "setresuid": identity, "setgid": identity, "setuid": identity,
		"setregid": identity, "setreuid": identity, "capset": identity, "prctl": identity,
		"execve":     {wants: failed, draw: drawCall("")},
		"mq_open":    {wants: opensQueue, judge: judgeQueue, draw: drawQueue},
		"mq_unlink":  {wants: unlinksQueue, draw: drawQueue},
		"mq_notify":  {wants: always, judge: judgeNotify, draw: drawNotify},
		"mq_receive": {wants: takes, draw: drawReceive},
		"mq_send":    {wants: sends, draw: drawSend},
	}
}

func (r *reader) ruleOf(e *event.Event) *rule {
	if e.Kind == event.Call {
		return callRules[e.Name]
	}
	return kindRules[e.Kind]
}

func always(*reader, *event.Event) (string, bool) { return "", true }

func failed(_ *reader, e *event.Event) (string, bool) { return "", e.Failed() }

func daemons(r *reader, e *event.Event) (string, bool) { return "", e.PID == r.daemon }

func beforeService(r *reader, e *event.Event) (string, bool) { return "", r.phase == Birth }

// Of what goes on all the time, these pick what has a meaning here.

func waits(r *reader, e *event.Event) (string, bool) {
	return "", r.phase == Birth && e.Result > 0
}

func closesRange(r *reader, e *event.Event) (string, bool) {
	return "", r.phase == Birth && e.Args[1] > stderr
}

// closes picks the descriptors that the starter left, the loops over numbers that are not open, and the PID file.
func closes(r *reader, e *event.Event) (string, bool) {
	switch {
	case r.isPIDFile(e) && r.lock.held && e.PID == r.lock.pid:
		return "", r.phase == Birth
	case r.phase != Birth || e.Args[0] <= stderr:
		return "", false
	}
	_, inherited := r.inherited(e)
	return "close", inherited || e.Result == -int64(unix.EBADF)
}

// inherited tells whether a descriptor is still the one that the starter left at that number.
func (r *reader) inherited(e *event.Event) (fd int, ok bool) {
	for _, d := range r.Before.Descriptors {
		if d.Number > stderr && uint64(d.Number) == e.Args[0] {
			return d.Number, d.Target == e.File
		}
	}
	return 0, false
}

const (
	sigDfl = 0
	sigIgn = 1
	// glibc keeps these for itself (nptl(7)).
	sigCancel = 32
	sigSetxid = 33
)

func actions(r *reader, e *event.Event) (string, bool) {
	switch {
	case e.Failed() || r.phase != Birth:
		return "", false
	case e.Value == sigDfl:
		return "default", true
	case e.Value == sigIgn:
		return "ignored", true
	}
	return "handled", e.Args[0] != sigCancel && e.Args[0] != sigSetxid
}

// Values of how, see sigprocmask(2).
const (
	sigUnblock = 1
	sigSetmask = 2
)

// unblocks picks the calls that end the blocking of what the starter blocked. A runtime blocks everything for a moment
// now and then, and sets back what was before: that is none.
func unblocks(r *reader, e *event.Event) (string, bool) {
	starters := uint64(r.Before.Status.SigBlk)
	after := e.Old
	switch e.Args[0] {
	case sigUnblock:
		after = e.Old &^ e.Value
	case sigSetmask:
		after = e.Value
	}
	own := e.Old &^ starters // a runtime may have unblocked some of the starter's at once, never blocked others for long
	return "", r.phase == Birth && e.Old != 0 && own == 0 && after&starters == 0
}

func dups(r *reader, e *event.Event) (string, bool) {
	return "stdio", r.phase == Birth && e.Args[1] <= stderr && !e.Failed() &&
		(e.File == "/dev/null" || e.PID == r.daemon)
}

func opens(r *reader, e *event.Event) (string, bool) {
	return "", r.phase == Birth && (r.isPIDFile(e) || !e.Failed() && e.Result <= stderr)
}

func aboutPIDFile(r *reader, e *event.Event) (string, bool) {
	return "", r.isPIDFile(e)
}

func removesPIDFile(r *reader, e *event.Event) (string, bool) {
	return "", r.pidFile != "" && base(e.Path) == base(r.pidFile)
}

func readinessPipe(r *reader, e *event.Event) (string, bool) {
	for _, file := range e.Files {
		if file == r.pipe {
			return "", true
		}
	}
	return "", false
}

func writes(r *reader, e *event.Event) (string, bool) {
	return "", r.isPIDFile(e) || r.pipe != "" && e.File == r.pipe && r.phase == Birth
}

// notifiedOrTold picks the cookie that tells of a message (see mq_notify(2)), and what the original reads from the
// daemon.
func notifiedOrTold(r *reader, e *event.Event) (string, bool) {
	if isCookie(e) {
		return "", true
	}
	return "told", r.pipe != "" && e.File == r.pipe && e.PID == r.original && r.phase == Birth
}

const (
	cookieSize = 32 // NOTIFY_COOKIE_LEN
	wokenUp    = 1  // NOTIFY_WOKENUP, its last byte
)

func isCookie(e *event.Event) bool {
	return e.Result == cookieSize && len(e.Data) == cookieSize && e.Data[cookieSize-1] == wokenUp && isSocket(e.File)
}

// identities picks changes of user, groups and capabilities. A call that every thread makes is one row.
func identities(r *reader, e *event.Event) (string, bool) {
	if e.Name == "prctl" && e.Args[0] != unix.PR_SET_NO_NEW_PRIVS {
		return "", false
	}
	return callText(r, e), r.phase == Birth
}

func opensQueue(r *reader, e *event.Event) (string, bool) {
	return "", r.phase != Birth || e.Path == r.queue || r.queue == ""
}

func unlinksQueue(r *reader, e *event.Event) (string, bool) {
	return "", e.Path == r.queue
}

func takes(r *reader, e *event.Event) (string, bool) {
	return "", e.File == r.queue
}

// sends leaves out the attempts that found a reply queue full.
func sends(r *reader, e *event.Event) (string, bool) {
	full := e.Result == -int64(unix.EAGAIN) || e.Result == -int64(unix.ETIMEDOUT)
	return "send " + e.File, r.phase != Birth && !full
}
