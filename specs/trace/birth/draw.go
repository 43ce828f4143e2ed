package birth

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/lab/wire"
	"daemonlab/specs/trace/event"
)

func base(path string) string { return filepath.Base(strings.TrimSuffix(path, " (deleted)")) }

func isSocket(file string) bool { return strings.HasPrefix(file, "socket:") }

// outcome is what a call gave back, when that is worth a word.
func outcome(e *event.Event) string {
	switch {
	case e.Cut:
		return " ..."
	case e.Failed():
		return " = " + e.Errno()
	}
	return ""
}

// drawCall shows a call with the arguments that matter.
func drawCall(id string) func(*reader, *Row) {
	return func(r *reader, row *Row) {
		row.ID, row.Text = id, callText(r, &row.events[0])
	}
}

// signed shows -1 as programs have it.
func signed(arg uint64) int32 { return int32(arg) }

func callText(r *reader, e *event.Event) string {
	var args string
	switch e.Name {
	case "setpgid":
		args = fmt.Sprintf("%d, %d", signed(e.Args[0]), signed(e.Args[1]))
	case "setgroups":
		args = "no groups"
		if e.Args[0] > 0 {
			args = fmt.Sprintf("%d groups", e.Args[0])
		}
	case "setresuid", "setresgid":
		args = fmt.Sprintf("%d, %d, %d", signed(e.Args[0]), signed(e.Args[1]), signed(e.Args[2]))
	case "setreuid", "setregid":
		args = fmt.Sprintf("%d, %d", signed(e.Args[0]), signed(e.Args[1]))
	case "setuid", "setgid":
		args = fmt.Sprint(signed(e.Args[0]))
	case "capset":
		args = "..."
	case "prctl":
		args = "NO_NEW_PRIVS"
	case "execve":
		args = e.Path
	}
	text := e.Name + "(" + args + ")" + outcome(e)
	if e.Name == "setsid" && !e.Failed() {
		text += fmt.Sprintf(" = %d", e.Result)
	}
	return text
}

func drawBorn(r *reader, row *Row) {
	e := &row.events[0]
	row.To, row.ID = int(e.Result), "session"
	if row.Phase != Birth {
		row.ID = "threads"
	}
	row.Text = fmt.Sprintf("%s() = %d", e.Name, e.Result)
}

// drawExecuted tells of the environment, which the kernel sees at an exec and never else.
func drawExecuted(r *reader, row *Row) {
	e := &row.events[0]
	row.Text = "execve(" + base(e.Path) + ")"
	if e.PID == r.original {
		return
	}
	if r.junk && junkOf(e.Env) == nil {
		r.junk = false
		row.ID = "env"
		row.Text += fmt.Sprintf(" with %d variables", len(e.Env))
	}
}

func drawEnded(r *reader, row *Row) {
	e := &row.events[0]
	status := signalled(e)
	row.Text = fmt.Sprintf("exit(%d)", status.ExitStatus())
	if status.Signaled() {
		row.Text = "killed by " + procfs.SignalName(status.Signal())
	}
	switch {
	case row.Phase == End:
	case e.PID == r.original:
		row.ID = "ready"
	case slices.Contains(r.ancestors(r.daemon), e.PID):
		row.ID = "orphan"
	}
}

func drawAdopted(r *reader, row *Row) {
	e := &row.events[0]
	row.ID, row.Text = "orphan", fmt.Sprintf("adopted by %d (%s)", e.Result, e.Path)
}

func drawClient(_ *reader, row *Row) {
	row.Text = row.events[0].Path
}

func drawTold(r *reader, row *Row) {
	row.To, row.Text = r.daemon, "kill("+procfs.SignalName(syscall.Signal(row.events[0].Result))+")"
}

func drawWait(r *reader, row *Row) {
	e := &row.events[0]
	row.Text = fmt.Sprintf("%s() = %d", e.Name, e.Result)
	if slices.Contains(r.ancestors(r.daemon), int(e.Result)) {
		row.ID = "orphan"
	}
}

func drawCloseRange(_ *reader, row *Row) {
	e := &row.events[0]
	last := "max"
	if to := e.Args[1] & 0xffffffff; to != 0xffffffff {
		last = fmt.Sprint(to)
	}
	flags := ""
	if e.Args[2]&unix.CLOSE_RANGE_CLOEXEC != 0 {
		flags = ", CLOEXEC"
	}
	row.ID, row.Text = "fds", fmt.Sprintf("close_range(%d, %s%s)%s", e.Args[0], last, flags, outcome(e))
}

func drawClose(r *reader, row *Row) {
	if e := &row.events[0]; r.isPIDFile(e) {
		row.ID, row.Text = "pidfile", fmt.Sprintf("close(%s)", base(r.pidFile))
		return
	}
	least, greatest := row.events[0].Args[0], row.events[0].Args[0]
	var starters []int
	for i := range row.events {
		e := &row.events[i]
		least, greatest = min(least, e.Args[0]), max(greatest, e.Args[0])
		if fd, ok := r.inherited(e); ok {
			starters = append(starters, fd)
		}
	}
	row.ID = "fds"
	row.Text = fmt.Sprintf("close(%d)", least)
	if n := len(row.events); n > 1 {
		row.Text = fmt.Sprintf("close(%d ... %d), %d calls", least, greatest, n)
	}
	if len(starters) > 0 && len(row.events) > 1 {
		row.Text += fmt.Sprintf(", among them the starter's %s", list(starters))
	}
}

func drawActions(r *reader, row *Row) {
	set := procfs.SignalSet(0)
	for _, e := range row.events {
		set |= procfs.NewSignalSet(syscall.Signal(e.Args[0]))
	}
	what := "a handler"
	switch row.events[0].Value {
	case sigDfl:
		what = "SIG_DFL"
		// An exec resets what is caught, so only what is ignored since the start makes it a step.
		if set&r.ignored != 0 {
			row.ID = "signals"
		}
	case sigIgn:
		what = "SIG_IGN"
	}
	if row.events[0].Value != sigIgn {
		r.ignored &^= set
	}
	row.Text = fmt.Sprintf("sigaction: %s for %s", what, signals(set))
}

func drawUnblocks(_ *reader, row *Row) {
	how := "SETMASK, none"
	if row.events[0].Args[0] == sigUnblock {
		how = "UNBLOCK, " + signals(procfs.SignalSet(row.events[0].Value))
	}
	row.ID, row.Text = "sigmask", "sigprocmask("+how+")"
}

func drawUmask(_ *reader, row *Row) {
	row.ID, row.Text = "umask", fmt.Sprintf("umask(%03o)", row.events[0].Args[0]&0o777)
}

func drawChdir(_ *reader, row *Row) {
	e := &row.events[0]
	where := e.Path + e.File
	row.Text = fmt.Sprintf("%s(%s)%s", e.Name, where, outcome(e))
	if where == "/" {
		row.ID = "cwd"
	}
}

func drawDup(_ *reader, row *Row) {
	e := &row.events[0]
	row.ID = "stdio"
	var to []int
	for _, e := range row.events {
		to = append(to, int(e.Args[1]))
	}
	row.Text = fmt.Sprintf("%s(%s, %s)", e.Name, e.File, list(to))
}

func drawOpen(r *reader, row *Row) {
	e := &row.events[0]
	row.ID = "stdio"
	if r.isPIDFile(e) {
		row.ID = "pidfile"
	}
	row.Text = fmt.Sprintf("open(%s, %s)%s", base(e.Path), openFlags(e.Value), outcome(e))
	if row.ID == "stdio" {
		row.Text = fmt.Sprintf("open(%s) = %d", e.Path, e.Result)
	}
}

func openFlags(flags uint64) string {
	words := []string{[]string{"RDONLY", "WRONLY", "RDWR", "3"}[flags&unix.O_ACCMODE]}
	for _, f := range []struct {
		bit  uint64
		name string
	}{
		{unix.O_CREAT, "CREAT"}, {unix.O_EXCL, "EXCL"}, {unix.O_TRUNC, "TRUNC"}, {unix.O_APPEND, "APPEND"},
		{unix.O_NOFOLLOW, "NOFOLLOW"}, {unix.O_NONBLOCK, "NONBLOCK"},
	} {
		if flags&f.bit != 0 {
			words = append(words, f.name)
		}
	}
	return strings.Join(words, "|")
}

func drawLock(r *reader, row *Row) {
	e := &row.events[0]
	how := "LOCK_SH"
	switch {
	case e.Name == "fcntl":
		how = map[uint64]string{unix.F_SETLK: "SETLK", unix.F_SETLKW: "SETLKW", unix.F_OFD_SETLK: "OFD_SETLK",
			unix.F_OFD_SETLKW: "OFD_SETLKW"}[e.Args[1]]
		how += ", " + map[uint64]string{unix.F_RDLCK: "RDLCK", unix.F_WRLCK: "WRLCK", unix.F_UNLCK: "UNLCK"}[e.Value]
	case e.Args[1]&unix.LOCK_EX != 0:
		how = "LOCK_EX"
	case e.Args[1]&unix.LOCK_UN != 0:
		how = "LOCK_UN"
	}
	if e.Name == "flock" && e.Args[1]&unix.LOCK_NB != 0 {
		how += "|NB"
	}
	row.ID, row.Text = "pidfile", fmt.Sprintf("%s(%s, %s)%s", e.Name, base(r.pidFile), how, outcome(e))
}

func drawPIDFile(r *reader, row *Row) {
	e := &row.events[0]
	argument := fmt.Sprint(e.Args[1])
	if e.Name == "fchmod" {
		argument = fmt.Sprintf("%04o", e.Args[1])
	}
	row.ID, row.Text = "pidfile", fmt.Sprintf("%s(%s, %s)%s", e.Name, base(r.pidFile), argument, outcome(e))
}

func drawUnlink(_ *reader, row *Row) {
	e := &row.events[0]
	row.ID, row.Text = "pidfile", fmt.Sprintf("unlink(%s)%s", base(e.Path), outcome(e))
}

func drawPipe(_ *reader, row *Row) {
	row.ID, row.Text = "ready", "pipe()"
}

const maxWord = 16 // bytes of a word to the original that are shown

func drawWrite(r *reader, row *Row) {
	e := &row.events[0]
	if r.isPIDFile(e) {
		row.ID, row.Text = "pidfile", fmt.Sprintf("%s(%s, %q)%s", e.Name, base(r.pidFile), e.Data, outcome(e))
		return
	}
	row.ID, row.To = "ready", r.original
	word := fmt.Sprintf("%d bytes", e.Result)
	if text := strings.TrimRight(string(e.Data), "\n"); len(text) <= maxWord && printable(text) {
		word = fmt.Sprintf("%q", text)
	}
	row.Text = fmt.Sprintf("%s(pipe, %s)", e.Name, word)
	if e.Failed() {
		row.Text = e.Name + "(pipe)" + outcome(e)
	}
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' })
}

func drawReceived(_ *reader, row *Row) {
	e := &row.events[0]
	if isCookie(e) {
		row.ID, row.Text = "notify", e.Name+"(netlink): notified"
		return
	}
	n := int64(0)
	for _, e := range row.events {
		n += max(e.Result, 0)
	}
	row.ID, row.Text = "ready", fmt.Sprintf("read(pipe): %d bytes", n)
	if last := row.events[len(row.events)-1]; last.Result == 0 && !last.Cut {
		row.Text += ", then its end"
	}
}

func drawIdentity(r *reader, row *Row) {
	row.ID, row.Text = "privileges", callText(r, &row.events[0])
	if n := len(row.events); n > 1 {
		row.Text += fmt.Sprintf(", %d threads", n)
	}
}

func drawQueue(r *reader, row *Row) {
	e := &row.events[0]
	flags := ""
	if e.Name == "mq_open" {
		flags = ", " + openFlags(e.Value)
	}
	if e.Path == r.queue {
		row.ID = "notify"
	}
	row.Text = fmt.Sprintf("%s(%s%s)%s", e.Name, e.Path, flags, outcome(e))
}

func drawNotify(r *reader, row *Row) {
	e := &row.events[0]
	how := "NULL"
	if e.Args[1] != 0 {
		how = map[uint64]string{0: "SIGEV_SIGNAL", 1: "SIGEV_NONE", sigevThread: "SIGEV_THREAD"}[e.Value]
	}
	row.ID = "notify"
	if row.Phase != Birth {
		row.ID = "rearm"
	}
	row.Text = "mq_notify(" + how + ")" + outcome(e)
	if e.Result == -int64(unix.EBUSY) {
		row.Text += ": registered"
	}
}

func drawReceive(r *reader, row *Row) {
	e := &row.events[0]
	row.ID = "rearm"
	if row.Phase == Birth {
		row.ID = "backlog"
	}
	row.Text = fmt.Sprintf("mq_receive(%s)%s", e.File, outcome(e))
	switch {
	case isEmpty(e):
		row.Text += ": empty"
	case !e.Failed() && !e.Cut:
		row.Text = fmt.Sprintf("mq_receive(%s) = %d bytes", e.File, e.Result)
	}
}

func isEmpty(e *event.Event) bool {
	return e.Result == -int64(unix.EAGAIN) || e.Result == -int64(unix.ETIMEDOUT)
}

var kinds = map[uint64]string{
	uint64(wire.Info): "INFO", uint64(wire.Failure): "FAILURE", uint64(wire.Data): "DATA", uint64(wire.End): "END",
}

// drawSend shows the messages of a transfer as one, by their priorities.
func drawSend(_ *reader, row *Row) {
	var words []string
	count := 0
	for i := range row.events {
		e := &row.events[i]
		count++
		if i+1 < len(row.events) && row.events[i+1].Args[3] == e.Args[3] && !e.Failed() {
			continue
		}
		word := kinds[e.Args[3]]
		if word == "" {
			word = fmt.Sprintf("priority %d", e.Args[3])
		}
		if count > 1 {
			word = fmt.Sprintf("%d x %s", count, word)
		}
		words, count = append(words, word+outcome(e)), 0
	}
	row.Text = "mq_send: " + strings.Join(words, ", ")
}

// list joins numbers.
func list(numbers []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(numbers)), ", "), "[]")
}

func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// maxSignals is how many are named; of more the number is told.
const maxSignals = 8

func signals(set procfs.SignalSet) string {
	members := set.Signals()
	if len(members) > maxSignals {
		return fmt.Sprintf("%d signals", len(members))
	}
	var names []string
	for _, s := range members {
		names = append(names, strings.TrimPrefix(procfs.SignalName(s), "SIG"))
	}
	return strings.Join(names, " ")
}
