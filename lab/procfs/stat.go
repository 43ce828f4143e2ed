package procfs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Stat has the fields of /proc/PID/stat that identify a process and its place: parent, group, session, terminal.
type Stat struct {
	Pid      int
	Comm     string // at most 15 bytes, which may be spaces, parentheses and newlines
	State    State
	PPid     int
	Pgrp     int    // process group
	Session  int    // PID that its session leader has or had
	TTY      TTY    // controlling terminal
	UserTime uint64 // CPU time in user mode, clock ticks (sysconf(_SC_CLK_TCK), 100 per second)
	SysTime  uint64 // CPU time in the kernel, clock ticks

	ChildFaults uint64 // minor page faults of children it has waited for
}

// TTY is the device number of a controlling terminal, 0 for none.
type TTY uint32

// String returns "none", or the device's numbers: pts/N is 136:N.
func (t TTY) String() string {
	if t == 0 {
		return "none"
	}
	return fmt.Sprintf("%d:%d", unix.Major(uint64(t)), unix.Minor(uint64(t)))
}

// SessionLeader reports whether the process leads its session, so that a terminal it opens may become its controlling
// terminal.
func (s Stat) SessionLeader() bool { return s.Session == s.Pid }

// Stat reads /proc/PID/stat.
func (p Process) Stat() (Stat, error) { return load(p.Path("stat"), parseStat) }

// statNames are the names in proc_pid_stat(5) of the fields after comm, as far as they are read.
var statNames = strings.Fields("state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime")

// statFields is how many fields follow comm, in every kernel since 3.5.
const statFields = 50

// parseStat parses /proc/PID/stat. comm is neither escaped nor free of parentheses: it ends at the last one.
func parseStat(text string) (Stat, error) {
	pid, rest, ok := strings.Cut(text, " (")
	end := strings.LastIndex(rest, ") ")
	if !ok || end < 0 {
		return Stat{}, errors.New("no (comm)")
	}
	words := strings.Fields(rest[end+2:])
	if len(words) < statFields {
		return Stat{}, errFields
	}
	f := fields{values: map[string]string{"pid": pid}}
	for i, name := range statNames {
		f.values[name] = words[i]
	}
	return Stat{
		Pid: field(&f, "pid", strconv.Atoi), Comm: rest[:end], State: field(&f, "state", parseState),
		PPid: field(&f, "ppid", strconv.Atoi), Pgrp: field(&f, "pgrp", strconv.Atoi),
		Session: field(&f, "session", strconv.Atoi), TTY: TTY(field(&f, "tty_nr", strconv.Atoi)),
		UserTime: field(&f, "utime", counter), SysTime: field(&f, "stime", counter),
		ChildFaults: field(&f, "cminflt", counter),
	}, f.err
}

func counter(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) }
