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
	"daemonlab/specs/facts"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/event"
)

// same is text that is not translated: calls, as the kernel names them.
var same = finding.Same

// draw sets a row's text.
func (r *reader) draw(row *Row) {
	e := row.events[0]
	switch e.Kind {
	case event.Born:
		row.To, row.Text = int(e.Result), same("%s() = %d", e.Name, e.Result)
	case event.Executed:
		row.Text = same("execve(%s)", base(e.Path))
		if row.ID == "env" {
			row.Text = say("execve(%s) with %d variables", base(e.Path), len(e.Env))
		}
	case event.Ended:
		row.Text = r.ending(e)
	case event.Adopted:
		row.Text = say("adopted by %d (%s)", e.Result, e.Path)
	case event.Client:
		row.Text = e.Did
	case event.Told:
		row.To, row.Text = r.daemon, same("kill(%s)", procfs.SignalName(syscall.Signal(e.Result)))
	default:
		row.Text = r.call(row, e)
	}
}

func (r *reader) ending(e *event.Event) rubric.Text {
	switch s, kill := status(e), r.told(unix.SIGKILL); {
	case s.Signal() == unix.SIGKILL && kill != nil && kill.At <= e.At:
		return say("killed by this trace")
	case s.Signaled():
		return say("killed by %s", procfs.SignalName(s.Signal()))
	}
	return same("exit(%d)", status(e).ExitStatus())
}

func (r *reader) call(row *Row, e *event.Event) rubric.Text {
	text := callText(e)
	if n := len(row.events); n > 1 && slices.Contains(identity, e.Name) {
		return say("%s, in %d threads", text, n)
	}
	switch e.Name {
	case "close":
		if row.ID == "fds" {
			return r.closes(row)
		}
	case "dup2", "dup3":
		var to []string
		for _, e := range row.events {
			to = append(to, fmt.Sprint(e.Args[1]))
		}
		return same("%s(%v, %s)", e.Name, fileName(e.File), strings.Join(to, ", "))
	case "sigaction":
		return actions(row)
	case "read", "recv":
		if isCookie(e) {
			return say("%s(netlink): notified", e.Name)
		}
		n := int64(0)
		for _, e := range row.events {
			n += max(e.Result, 0)
		}
		if row.events[len(row.events)-1].Result == 0 {
			return say("read(pipe): %d bytes, then its end", n)
		}
		return same("read(pipe) = %d", n)
	case "write", "pwrite", "writev", "pwritev", "sendto", "sendmsg":
		return r.writes(row, e)
	case "mq_receive":
		switch {
		case e.Result == -int64(unix.EAGAIN), e.Result == -int64(unix.ETIMEDOUT):
			return say("%s: empty", text)
		case e.Cut:
			return say("mq_receive(%s) waits", e.File)
		}
	case "mq_send":
		return same("%s", sends(row))
	}
	return same("%s", text)
}

func base(path string) string { return filepath.Base(strings.TrimSuffix(path, " (deleted)")) }

// fileName is the file that a descriptor refers to; the tracer's own files are shown as the starter's.
func fileName(file string) rubric.Text {
	for _, own := range []string{"trace-said-", "specs-planted-"} {
		if strings.HasPrefix(base(file), own) {
			return say("a file of the starter")
		}
	}
	return same("%s", file)
}

// arguments are the arguments worth showing, filled in by callText. Other calls are shown without any.
var arguments = map[string]string{
	"setpgid": "$0, $1", "setreuid": "$0, $1", "setregid": "$0, $1", "setresuid": "$0, $1, $2", "setresgid": "$0, $1, $2",
	"setuid": "$0", "setgid": "$0", "setgroups": "$0", "capset": "effective $effective, permitted $permitted",
	"prctl": "$prctl", "unshare": "$clone", "close_range": "$range", "sigprocmask": "$mask", "umask": "$umask",
	"execve": "$path", "execveat": "$path", "mq_unlink": "$path", "chdir": "$path$target", "fchdir": "$path$target",
	"setns": "$target", "mq_receive": "$target", "close": "$file", "unlink": "$file", "symlink": "$file",
	"open": "$name, $flags", "write": "$file, $data", "pwrite": "$file, $data", "writev": "$file, $data", "pwritev": "$file, $data",
	"flock": "$file, $lock", "fcntl": "$file, $lock", "ftruncate": "$file, $size", "truncate": "$file, $size",
	"fchmod": "$file, $mode", "chmod": "$file, $mode", "rename": "$file, $to", "link": "$file, $to",
	"mq_open": "$path, $flags", "mq_notify": "$event",
}

// callText shows a call with the arguments in its template.
func callText(e *event.Event) string {
	a, args, result := e.Args, arguments[e.Name], ""
	switch {
	case isOpen(e) && !e.Failed() && e.Result < facts.Stdio:
		args = "$path"
		fallthrough
	case e.Name == "wait4", e.Name == "waitid", e.Name == "setsid", e.Name == "mq_receive":
		result = fmt.Sprintf(" = %d", e.Result)
	}
	if e.Failed() {
		result = " = " + e.Errno()
	}
	return e.Name + "(" + strings.NewReplacer(
		"$0", fmt.Sprint(int32(a[0])), "$1", fmt.Sprint(int32(a[1])), "$2", fmt.Sprint(int32(a[2])), // -1 as programs write it
		"$effective", capNames(e.Value), "$permitted", capNames(e.Old), "$prctl", prctlText(a[0], a[1]),
		"$clone", flagNames(a[0], cloneFlags), "$range", rangeText(a[0], a[1], a[2]), "$mask", maskText(a[0], e.Value),
		"$umask", fmt.Sprintf("%03o", a[0]&0o777), "$path", e.Path, "$name", base(e.Path), "$flags", openFlags(e.Value),
		"$target", e.File, "$file", base(e.File), "$to", base(e.To), "$data", fmt.Sprintf("%q", e.Data),
		"$lock", lockName(e), "$size", fmt.Sprint(a[1]), "$mode", fmt.Sprintf("%04o", a[1]), "$event", eventText(a[1], e.Value),
	).Replace(args) + ")" + result
}

func prctlText(option, arg uint64) string {
	if option == unix.PR_SET_NO_NEW_PRIVS {
		return prctls[option].name
	}
	return fmt.Sprintf("%s, %d", prctls[option].name, arg)
}

func rangeText(first, last, flags uint64) string {
	text := fmt.Sprintf("%d, max", first)
	if last &= 0xffffffff; last != 0xffffffff {
		text = fmt.Sprintf("%d, %d", first, last)
	}
	if flags&unix.CLOSE_RANGE_CLOEXEC != 0 {
		text += ", CLOEXEC"
	}
	return text
}

func maskText(how, set uint64) string {
	if how == sigUnblock {
		return "UNBLOCK, " + signals(procfs.SignalSet(set)).EN
	}
	return "SETMASK, none"
}

func eventText(address, kind uint64) string {
	if address == 0 {
		return "NULL"
	}
	return map[uint64]string{0: "SIGEV_SIGNAL", 1: "SIGEV_NONE", 2: "SIGEV_THREAD"}[kind]
}

func capNames(set uint64) string {
	text := procfs.CapSet(set).String() // the mask, and the names in parentheses
	_, names, _ := strings.Cut(strings.TrimSuffix(text, ")"), "(")
	return names
}

// prctls are those a daemon sets, see prctl(2).
var prctls = map[uint64]struct {
	name       string
	privileges bool
}{
	unix.PR_SET_NO_NEW_PRIVS: {"NO_NEW_PRIVS", true}, unix.PR_SET_KEEPCAPS: {"KEEPCAPS", true},
	unix.PR_CAPBSET_DROP: {"CAPBSET_DROP", true}, unix.PR_CAP_AMBIENT: {"CAP_AMBIENT", true},
	unix.PR_SET_SECUREBITS: {"SECUREBITS", true}, unix.PR_SET_DUMPABLE: {"DUMPABLE", false},
	unix.PR_SET_PDEATHSIG: {"PDEATHSIG", false}, unix.PR_SET_CHILD_SUBREAPER: {"CHILD_SUBREAPER", false},
	unix.PR_SET_SECCOMP: {"SECCOMP", false},
}

type flag struct {
	bit  uint64
	name string
}

func flagNames(flags uint64, of []flag) string {
	var words []string
	for _, f := range of {
		if flags&f.bit != 0 {
			words = append(words, f.name)
		}
	}
	return strings.Join(words, "|")
}

func openFlags(flags uint64) string {
	access := []string{"RDONLY", "WRONLY", "RDWR", "3"}[flags&unix.O_ACCMODE]
	return strings.TrimSuffix(access+"|"+flagNames(flags, []flag{
		{unix.O_CREAT, "CREAT"}, {unix.O_EXCL, "EXCL"}, {unix.O_TRUNC, "TRUNC"}, {unix.O_APPEND, "APPEND"},
		{unix.O_NOFOLLOW, "NOFOLLOW"}, {unix.O_NONBLOCK, "NONBLOCK"},
	}), "|")
}

var cloneFlags = []flag{
	{unix.CLONE_NEWNS, "NEWNS"}, {unix.CLONE_NEWUSER, "NEWUSER"}, {unix.CLONE_NEWPID, "NEWPID"}, {unix.CLONE_NEWNET, "NEWNET"},
	{unix.CLONE_NEWIPC, "NEWIPC"}, {unix.CLONE_NEWUTS, "NEWUTS"}, {unix.CLONE_FS, "FS"}, {unix.CLONE_FILES, "FILES"},
}

func lockName(e *event.Event) string {
	if e.Name == "fcntl" {
		return map[uint64]string{unix.F_SETLK: "SETLK", unix.F_SETLKW: "SETLKW", unix.F_OFD_SETLK: "OFD_SETLK",
			unix.F_OFD_SETLKW: "OFD_SETLKW"}[e.Args[1]] + ", " +
			map[uint64]string{unix.F_RDLCK: "RDLCK", unix.F_WRLCK: "WRLCK", unix.F_UNLCK: "UNLCK"}[e.Value]
	}
	return flagNames(e.Args[1], []flag{{unix.LOCK_SH, "LOCK_SH"}, {unix.LOCK_EX, "LOCK_EX"}, {unix.LOCK_UN, "LOCK_UN"},
		{unix.LOCK_NB, "NB"}})
}

func (r *reader) closes(row *Row) rubric.Text {
	least, greatest := row.events[0].Args[0], row.events[0].Args[0]
	var starters []int
	for _, e := range row.events {
		least, greatest = min(least, e.Args[0]), max(greatest, e.Args[0])
		if fd, ok := r.inherited(e); ok {
			starters = append(starters, fd)
		}
	}
	switch {
	case len(row.events) == 1:
		return same("close(%d)", least)
	case starters == nil:
		return say("close(%d ... %d), %d calls", least, greatest, len(row.events))
	}
	return say("close(%d ... %d), %d calls, the starter's %s among them", least, greatest, len(row.events), list(starters))
}

func actions(row *Row) rubric.Text {
	set := procfs.SignalSet(0)
	for _, e := range row.events {
		set |= procfs.NewSignalSet(syscall.Signal(e.Args[0]))
	}
	switch row.events[0].Value {
	case sigDfl:
		return say("sigaction: SIG_DFL for %v", signals(set))
	case sigIgn:
		return say("sigaction: SIG_IGN for %v", signals(set))
	}
	return say("sigaction: a handler for %v", signals(set))
}

const maxWord = 24 // bytes shown of a word

func (r *reader) writes(row *Row, e *event.Event) rubric.Text {
	word := fmt.Sprint(e.Result)
	if text := strings.TrimRight(string(e.Data), "\n"); len(text) <= maxWord && finding.Escape(text, "") == text && !e.Failed() {
		word = fmt.Sprintf("%q", text)
	}
	where := "pipe"
	switch {
	case r.isPIDFile(e.File):
		where, word = base(e.File), fmt.Sprintf("%q", e.Data)
	case r.isPipe(e):
		row.To = r.original
	default:
		where = r.sockets[e.File]
		if n := len(row.events); n > 1 {
			return say("%s(%s), %d messages", e.Name, where, n)
		}
	}
	if e.Failed() {
		return same("%s(%s) = %s", e.Name, where, e.Errno())
	}
	return same("%s(%s, %s)", e.Name, where, word)
}

var kinds = map[uint64]string{
	uint64(wire.Info): "INFO", uint64(wire.Failure): "FAILURE", uint64(wire.Data): "DATA", uint64(wire.End): "END",
}

// sends shows a transfer's messages as one, by priority.
func sends(row *Row) string {
	var words []string
	count := 0
	for i, e := range row.events {
		count++
		if i+1 < len(row.events) && row.events[i+1].Args[3] == e.Args[3] && !e.Failed() {
			continue
		}
		word := kinds[e.Args[3]]
		if word == "" {
			word = fmt.Sprintf("%d", e.Args[3])
		}
		if count > 1 {
			word = fmt.Sprintf("%d x %s", count, word)
		}
		if e.Failed() {
			word += " = " + e.Errno()
		}
		words, count = append(words, word), 0
	}
	return "mq_send: " + strings.Join(words, ", ")
}

// maxSignals is how many are named before only the number is given.
const maxSignals = 8

func signals(set procfs.SignalSet) rubric.Text {
	members := set.Signals()
	if len(members) > maxSignals {
		return say("%d signals", len(members))
	}
	var names []string
	for _, s := range members {
		names = append(names, strings.TrimPrefix(procfs.SignalName(s), "SIG"))
	}
	return same("%s", strings.Join(names, " "))
}

// list joins numbers.
func list(numbers []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(numbers)), ", "), "[]")
}
