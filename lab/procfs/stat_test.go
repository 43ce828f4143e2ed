package procfs

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// statText is /proc/PID/stat of a process named comm.
func statText(comm string) string {
	return fmt.Sprintf("3906 (%s) R 3903 3904 2153 34817 -1 4194304 102 0 0 0 11 12 0 0 20 0 5 0 72783 3133440 381 "+
		"18446744073709551615 1 2 3 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 4 5 6 7 8 9 10 0\n", comm)
}

var hostileComms = []string{"cat", "(a b ) ( c d) ", ") R 1 1 1 (", "", " ", "a\nb\\c", "\xff(", ")", "((("}

func TestParseStat(t *testing.T) {
	for _, comm := range hostileComms {
		s, err := parseStat(statText(comm))
		must(t, err)
		equal(t, fmt.Sprintf("stat of %q", comm), s, Stat{Pid: 3906, Comm: comm, State: 'R', PPid: 3903,
			Pgrp: 3904, Session: 2153, TTY: 34817, UserTime: 11, SysTime: 12})
	}
	equal(t, "pts/1", TTY(34817).String(), "136:1")
	equal(t, "no terminal", TTY(0).String(), "none")
}

func TestParseStatRefuses(t *testing.T) {
	whole := statText("cat")
	for _, text := range []string{
		"", "\n", "3906 (cat", whole[:80], "x" + whole, strings.Replace(whole, " R ", " RR ", 1),
		strings.Replace(whole, " R ", " Y ", 1), strings.Replace(whole, " 2153 ", "  ", 1),
		strings.Replace(whole, " 11 ", " -1 ", 1), strings.Replace(whole, " 3903 ", " x ", 1),
	} {
		refused(t, parseStat, text, "")
	}
}

func TestCommOfRealProcesses(t *testing.T) {
	for _, comm := range []string{"(a b ) ( c d) ", "a\nb\\c", ") R 1 1 1 ("} {
		p := start(t, helper(comm))
		stat, err := p.Stat()
		must(t, err)
		equal(t, "Stat.Comm", stat.Comm, comm)
		status, err := p.Status()
		must(t, err)
		equal(t, "Status.Name", status.Name, comm)
		equal(t, "Umask", status.Umask, 0o27)
		equal(t, "PPid", status.PPid, os.Getpid())
	}
}

func TestStatOfSession(t *testing.T) {
	cmd := helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p := start(t, cmd)
	s, err := p.Stat()
	must(t, err)
	equal(t, "Session", s.Session, p.PID())
	equal(t, "SessionLeader", s.SessionLeader(), true)
	equal(t, "Pgrp", s.Pgrp, p.PID())
	equal(t, "TTY", s.TTY, 0)
}

func TestChildrenAndTheirEnd(t *testing.T) {
	p := start(t, helper())
	isChild := func() bool {
		children, err := proc.Children(os.Getpid())
		must(t, err)
		for _, c := range children {
			if c.Pid == p.PID() {
				return true
			}
		}
		return false
	}
	equal(t, "child listed", isChild(), true)
	ended, err := p.Ended()
	must(t, err)
	equal(t, "ended while it runs", ended, false)

	p.end(t)
	equal(t, "zombie listed", isChild(), true)
	ended, err = p.Ended()
	must(t, err)
	equal(t, "ended as a zombie", ended, true)
	zombie, err := p.Status()
	must(t, err)
	equal(t, "Umask of a zombie", zombie.Umask, -1)
	allGone(t, p.Process, "Environ", "LiveEnviron", "Descriptors", "Cwd", "Exe")

	must(t, p.cmd.Wait())
	equal(t, "child listed after wait", isChild(), false)
	ended, err = p.Ended()
	must(t, err)
	equal(t, "ended after wait", ended, true)
}

func TestProcessThatIsGone(t *testing.T) {
	p := start(t, helper())
	status, err := os.Open(p.Path("status"))
	must(t, err)
	defer status.Close()
	p.end(t)
	must(t, p.cmd.Wait())
	allGone(t, p.Process, slices.Collect(maps.Keys(reads))...)
	// Reading a file that was opened while the process lived gives ESRCH.
	if _, err = io.ReadAll(status); !Gone(err) {
		t.Errorf("a status opened before: got error %v, want one that means gone", err)
	}
}

var reads = map[string]func(p Process) error{
	"Status":      func(p Process) error { _, err := p.Status(); return err },
	"Stat":        func(p Process) error { _, err := p.Stat(); return err },
	"Tasks":       func(p Process) error { _, err := p.Tasks(); return err },
	"Descriptors": func(p Process) error { _, err := p.Descriptors(); return err },
	"Environ":     func(p Process) error { _, err := p.Environ(); return err },
	"LiveEnviron": func(p Process) error { _, err := p.LiveEnviron(); return err },
	"Cwd":         func(p Process) error { _, err := p.Cwd(); return err },
	"Exe":         func(p Process) error { _, err := p.Exe(); return err },
}

func allGone(t *testing.T, p Process, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := reads[name](p); !Gone(err) {
			t.Errorf("%s: got error %v, want one that means gone", name, err)
		}
	}
}
