package procfs

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Stat is the part of /proc/PID/stat that tells who a process is and where it belongs.
type Stat struct {
	Pid      int
	Comm     string // at most 15 bytes, which may be spaces, parentheses and newlines
	State    State
	PPid     int
	Pgrp     int    // process group
	Session  int    // the PID that its session leader has or had
	TTY      TTY    // controlling terminal
	UserTime uint64 // CPU time, clock ticks (sysconf(_SC_CLK_TCK), 100 a second)
	SysTime  uint64 // CPU time in the kernel, clock ticks
}

// TTY is the device number of a controlling terminal, 0 for none.
type TTY uint32

// String is "none", or the device's numbers: pts/N is 136:N.
func (t TTY) String() string {
	if t == 0 {
		return "none"
	}
	return fmt.Sprintf("%d:%d", unix.Major(uint64(t)), unix.Minor(uint64(t)))
}

// SessionLeader reports whether the process leads its session, so that a terminal it opens may become its own.
func (s Stat) SessionLeader() bool { return s.Session == s.Pid }

// Stat reads /proc/PID/stat.
func (p Process) Stat() (Stat, error) { return load(p.Path("stat"), ParseStat) }

// statFields is how many fields follow comm, in every kernel since 3.5.
const statFields = 50

// ParseStat parses /proc/PID/stat. comm is neither escaped nor free of parentheses: it ends at the last one.
func ParseStat(r io.Reader) (Stat, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return Stat{}, err
	}
	s, err := parseStat(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return Stat{}, lineError("stat", 1, string(text), err)
	}
	return s, nil
}

func parseStat(text string) (Stat, error) {
	pid, rest, ok := strings.Cut(text, " (")
	end := strings.LastIndex(rest, ") ")
	if !ok || end < 0 {
		return Stat{}, errors.New("no (comm)")
	}
	f := fields{words: append(strings.Split(rest[end+2:], " "), pid)}
	last := len(f.words) - 1
	if last < statFields || len(f.words[0]) != 1 {
		return Stat{}, errFields
	}
	state, err := parseState(f.words[0][0])
	f.keep(err)
	return Stat{
		Pid: f.signed(last), Comm: rest[:end], State: state, PPid: f.signed(1), Pgrp: f.signed(2),
		Session: f.signed(3), TTY: TTY(f.signed(4)), UserTime: f.unsigned(11), SysTime: f.unsigned(12),
	}, f.err
}

// fields converts words and keeps the first error.
type fields struct {
	words []string
	err   error
}

func (f *fields) keep(err error) {
	if f.err == nil {
		f.err = err
	}
}

// signed converts a 32-bit number, which all of stat's signed fields are.
func (f *fields) signed(i int) int {
	n, err := strconv.ParseInt(f.words[i], 10, 32)
	f.keep(err)
	return int(n)
}

func (f *fields) unsigned(i int) uint64 {
	n, err := strconv.ParseUint(f.words[i], 10, 64)
	f.keep(err)
	return n
}
