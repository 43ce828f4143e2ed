package procfs_test

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
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
	s, err := procfs.ParseStatus(strings.NewReader(statusText))
	must(t, err)
	equal(t, "Name", s.Name, "a\\b\n(c) ")
	equal(t, "State", s.State.String(), "S (sleeping)")
	equal(t, "Umask", s.Umask, 0o77)
	equal(t, "Uid", s.Uid, procfs.IDs{0, 65534, 65534, 65534})
	equal(t, "Uid.All", s.Uid.All(65534), false)
	equal(t, "Gid.All", s.Gid.All(65534), true)
	equal(t, "Groups", slices.Equal(s.Groups, []int{4, 24, 27}), true)
	equal(t, "VmRSS", s.VmRSS, 1636*1024)
	equal(t, "SigIgn", s.SigIgn.String(), "0000000000010000 (SIGCHLD)")
	equal(t, "CapEff", s.CapEff.String(), "0000000000000400 (CAP_NET_BIND_SERVICE)")
}

func TestParseStatusRefuses(t *testing.T) {
	line := func(prefix string) int {
		return 1 + slices.IndexFunc(strings.Split(statusText, "\n"),
			func(l string) bool { return strings.HasPrefix(l, prefix) })
	}
	for _, c := range []struct{ name, old, new, at string }{
		{"a line without key", "Ngid:\t0", "Ngid 0", "Ngid"},
		{"a short mask", "SigIgn:\t0000000000010000", "SigIgn:\t10000", "SigIgn"},
		{"a mask of other digits", "SigIgn:\t0000000000010000", "SigIgn:\t00000000000x0000", "SigIgn"},
		{"three of four IDs", "Uid:\t0\t", "Uid:\t", "Uid"},
		{"an octal 9", "Umask:\t0077", "Umask:\t0079", "Umask"},
		{"another unit", "VmRSS:\t    1636 kB", "VmRSS:\t    1636 MB", "VmRSS"},
		{"an unknown state", "S (sleeping)", "Y (yawning)", "State"},
		{"an unknown escape", `a\\b`, `a\b`, "Name"},
		{"a key twice", "Ngid:\t0", "Tgid:\t4711", "Ngid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := procfs.ParseStatus(strings.NewReader(strings.Replace(statusText, c.old, c.new, 1)))
			refused(t, err, "status", line(c.at))
		})
	}
	t.Run("a file that breaks off", func(t *testing.T) {
		_, err := procfs.ParseStatus(strings.NewReader(statusText[:strings.Index(statusText, "CapInh")]))
		refused(t, err, "status", 0)
	})
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

func TestStatusOfAnother(t *testing.T) {
	s, err := start(t, helper("umask")).Status()
	must(t, err)
	equal(t, "Umask", s.Umask, 0o27)
	equal(t, "PPid", s.PPid, os.Getpid())
}

// Every process of the machine is a fixture, the kernel threads among them.
func TestStatusOfAll(t *testing.T) {
	pids, err := proc.PIDs()
	must(t, err)
	for _, pid := range pids {
		if _, err := proc.Process(pid).Status(); err != nil && !procfs.Gone(err) {
			t.Error(err)
		}
	}
}

func helperThreads([]string) error {
	return onThread(func() error {
		set := unix.Sigset_t{}
		set.Val[0] = uint64(procfs.NewSignalSet(syscall.SIGUSR1))
		return unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil)
	})
}

func TestTasks(t *testing.T) {
	p := start(t, helper("threads"))
	tasks, err := p.Tasks()
	must(t, err)
	leader, blocking := 0, 0
	for _, task := range tasks {
		equal(t, "Tgid", task.Tgid, p.PID())
		if task.Pid == p.PID() {
			leader++
		}
		if task.SigBlk == procfs.NewSignalSet(syscall.SIGUSR1) { // a thread just made blocks all for a moment
			blocking++
			equal(t, "Pid of the thread that blocks is the leader's", task.Pid == p.PID(), false)
		}
	}
	equal(t, "thread-group leaders", leader, 1)
	equal(t, "threads that block SIGUSR1 alone", blocking, 1)
}
