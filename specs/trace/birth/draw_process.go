package birth

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"daemonlab/lab/procfs"
)

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

func drawIdentity(r *reader, row *Row) {
	row.ID, row.Text = "privileges", callText(r, &row.events[0])
	if n := len(row.events); n > 1 {
		row.Text += fmt.Sprintf(", %d threads", n)
	}
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
