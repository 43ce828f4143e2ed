package procfs

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const statusText = `Name:	a\\b\n(c) 
Umask:	0077
State:	S (sleeping)
Tgid:	4711
Ngid:	0
Pid:	4712
PPid:	1
TracerPid:	0
Uid:	0	65534	65534	65534
Gid:	65534	65534	65534	65534
FDSize:	64
Groups:	4 24 27 
NStgid:	4711	2
NSpid:	4712	3
VmPeak:	    3060 kB
VmRSS:	    1636 kB
Threads:	9
SigQ:	0/96365
SigPnd:	0000000000000000
ShdPnd:	0000000000000200
SigBlk:	fffffffe7ffbfeff
SigIgn:	0000000000010000
SigCgt:	0000000180004002
CapInh:	0000000000000000
CapPrm:	000001fffeffffff
CapEff:	0000000000000400
CapBnd:	000001ffffffffff
CapAmb:	0000000000000000
NoNewPrivs:	1
Speculation_Store_Bypass:	vulnerable
Cpus_allowed:	3
`

func TestParseStatus(t *testing.T) {
	s, err := parseStatus(statusText)
	must(t, err)
	equal(t, "Name", s.Name, "a\\b\n(c) ")
	equal(t, "State", s.State.String(), "S (sleeping)")
	equal(t, "Umask", s.Umask, 0o77)
	equal(t, "Uid", s.Uid, IDs{0, 65534, 65534, 65534})
	equal(t, "Uid.All", s.Uid.All(65534), false)
	equal(t, "Gid.All", s.Gid.All(65534), true)
	equal(t, "Groups", slices.Equal(s.Groups, []int{4, 24, 27}), true)
	equal(t, "VmRSS", s.VmRSS, 1636*1024)
	equal(t, "SigIgn", s.SigIgn.String(), "0000000000010000 (SIGCHLD)")
	equal(t, "CapEff", s.CapEff.String(), "0000000000000400 (CAP_NET_BIND_SERVICE)")
}

func TestParseStatusRefuses(t *testing.T) {
	for _, c := range []struct{ name, old, new, at string }{
		{"a line without name", "Ngid:\t0", "Ngid 0", "Ngid"},
		{"a short mask", "SigIgn:\t0000000000010000", "SigIgn:\t10000", "SigIgn"},
		{"a mask of other digits", "SigIgn:\t0000000000010000", "SigIgn:\t00000000000x0000", "SigIgn"},
		{"three of four IDs", "Uid:\t0\t", "Uid:\t", "Uid"},
		{"an octal 9", "Umask:\t0077", "Umask:\t0079", "Umask"},
		{"another unit", "VmRSS:\t    1636 kB", "VmRSS:\t    1636 MB", "VmRSS"},
		{"an unknown state", "S (sleeping)", "Y (yawning)", "State"},
		{"a name twice", "Ngid:\t0", "Tgid:\t4711", "Tgid"},
		{"a line less", "CapAmb:\t0000000000000000\n", "", "CapAmb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused(t, parseStatus, strings.Replace(statusText, c.old, c.new, 1), c.at)
		})
	}
}

func TestStatusOfSelf(t *testing.T) {
	s, err := proc.Process(os.Getpid()).Status()
	must(t, err)
	equal(t, "Tgid", s.Tgid, os.Getpid())
	equal(t, "PPid", s.PPid, os.Getppid())
	equal(t, "real UID", s.Uid[0], os.Getuid())
	equal(t, "effective GID", s.Gid[1], os.Getegid())
	groups, err := os.Getgroups()
	must(t, err)
	slices.Sort(groups)
	equal(t, "groups", slices.Equal(s.Groups, groups), true)
	equal(t, "SIGSEGV caught by the runtime", s.SigCgt.Has(syscall.SIGSEGV), true)
	if s.VmRSS < 1<<20 {
		t.Errorf("VmRSS of a Go program is %d bytes", s.VmRSS)
	}
}

// Every process of the machine is a fixture, kernel threads included.
func TestStatusOfAll(t *testing.T) {
	all, err := proc.Stats()
	must(t, err)
	for _, s := range all {
		if _, err := proc.Process(s.Pid).Status(); err != nil && !Gone(err) {
			t.Error(err)
		}
	}
}

func TestTasks(t *testing.T) {
	p := start(t, helper())
	tasks, err := p.Tasks()
	must(t, err)
	leader, blocking := 0, 0
	for _, task := range tasks {
		equal(t, "Tgid", task.Tgid, p.PID())
		if task.Pid == p.PID() {
			leader++
		}
		if task.SigBlk == NewSignalSet(syscall.SIGUSR1) { // a new thread blocks all signals for a moment
			blocking++
			equal(t, "Pid of the thread that blocks is the leader's", task.Pid == p.PID(), false)
		}
	}
	equal(t, "thread-group leaders", leader, 1)
	equal(t, "threads that block SIGUSR1 alone", blocking, 1)
}
