package procfs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
)

func TestLinks(t *testing.T) {
	cmd := helper("wait")
	cmd.Dir = t.TempDir()
	p := start(t, cmd)
	cwd, err := p.Cwd()
	must(t, err)
	equal(t, "Cwd", cwd, cmd.Dir)
	self, err := os.Readlink("/proc/self/exe")
	must(t, err)
	exe, err := p.Exe()
	must(t, err)
	equal(t, "Exe", exe, self)
	root, err := p.Root()
	must(t, err)
	equal(t, "Root", root, "/")
}

func TestMaps(t *testing.T) {
	maps, err := proc.Process(os.Getpid()).Maps()
	must(t, err)
	id, err := procfs.Identify("/proc/self/exe")
	must(t, err)
	if !slices.ContainsFunc(maps, func(m procfs.Mapping) bool {
		return m.File.Ino == id.Ino && m.Perms == "r-xp" && m.End > m.Start
	}) {
		t.Error("the test's own code is not mapped")
	}
}

func TestParseMaps(t *testing.T) {
	maps, err := procfs.ParseMaps(strings.NewReader(
		"7f88d70e0000-7f88d7106000 r-xp 00026000 fe:00 326269                     /tmp/a b  c (deleted)\n" +
			"7f88d72b5000-7f88d72c2000 rw-p 00000000 00:00 0 \n" +
			"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"))
	must(t, err)
	equal(t, "the first", maps[0], procfs.Mapping{Start: 0x7f88d70e0000, End: 0x7f88d7106000, Perms: "r-xp",
		Offset: 0x26000, File: procfs.FileID{Dev: unix.Mkdev(0xfe, 0), Ino: 326269}, Path: "/tmp/a b  c (deleted)"})
	equal(t, "path of the second", maps[1].Path, "")
	equal(t, "path of the third", maps[2].Path, "[vsyscall]")
	for _, text := range []string{"", "1-2 r-xp 0 fe:00", "12 r-xp 0 fe:00 1", "1-x r-xp 0 fe:00 1", "1-2 r-x 0 fe:00 1",
		"1-2 r-xp 0 fe 1", "1-2 r-xp 0 fe:00 x"} {
		_, err := procfs.ParseMaps(strings.NewReader(text + "\n"))
		refused(t, err, "maps", 1)
	}
}

func helperLimit([]string) error {
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 200, Max: 300})
}

func TestLimits(t *testing.T) {
	limits, err := start(t, helper("limit")).Limits()
	must(t, err)
	equal(t, procfs.MaxOpenFiles, limits[procfs.MaxOpenFiles], procfs.Limit{Soft: 200, Hard: 300, Units: "files"})
	var queues unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &queues))
	equal(t, procfs.MaxMsgqueueSize, limits[procfs.MaxMsgqueueSize],
		procfs.Limit{Soft: queues.Cur, Hard: queues.Max, Units: "bytes"})
	for _, name := range []string{procfs.MaxCoreFileSize, procfs.MaxFileSize} {
		if _, ok := limits[name]; !ok {
			t.Errorf("no limit %q", name)
		}
	}
}

func TestParseLimits(t *testing.T) {
	const heading = "Limit                     Soft Limit           Hard Limit           Units     \n"
	limits, err := procfs.ParseLimits(strings.NewReader(heading +
		"Max cpu time              unlimited            18446744073709551614 seconds   \n" +
		"Max nice priority         0                    0                    \n"))
	must(t, err)
	equal(t, "cpu time", limits["Max cpu time"], procfs.Limit{Soft: procfs.Unlimited, Hard: 1<<64 - 2, Units: "seconds"})
	equal(t, "nice", limits["Max nice priority"], procfs.Limit{})
	for _, line := range []string{"", "Max cpu time  1 2 seconds",
		"Max cpu time              many                 unlimited            seconds   "} {
		_, err := procfs.ParseLimits(strings.NewReader(heading + line + "\n"))
		refused(t, err, "limits", 2)
	}
	_, err = procfs.ParseLimits(strings.NewReader(heading))
	refused(t, err, "limits", 0)
}

func TestIDMaps(t *testing.T) {
	p := start(t, inUserNamespace(helper("wait"), 0))
	for name, c := range map[string]struct {
		read    func() ([]procfs.IDRange, error)
		outside int
	}{"uid_map": {p.UIDMap, os.Getuid()}, "gid_map": {p.GIDMap, os.Getgid()}} {
		ranges, err := c.read()
		must(t, err)
		equal(t, name, slices.Equal(ranges, []procfs.IDRange{{Outside: uint32(c.outside), Count: 1}}), true)
	}
	for _, text := range []string{"0 0", "0 0 0 0", "0 0 x", "0 0 4294967296"} {
		_, err := procfs.ParseIDMap("uid_map", strings.NewReader(text))
		refused(t, err, "uid_map", 1)
	}
}

// inUserNamespace gives the command a user namespace in which it is root, and the other namespaces.
func inUserNamespace(cmd *exec.Cmd, flags uintptr) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | flags,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	return cmd
}

// helperMqueue mounts the mqueuefs of its own IPC namespace and makes a queue the way mq_overview(7) does with touch.
func helperMqueue(args []string) error {
	if err := unix.Mount("none", args[0], "mqueue", 0, ""); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(args[0], "jobs"))
	held = append(held, f)
	return err
}

func TestQueues(t *testing.T) {
	mount := t.TempDir()
	p := start(t, inUserNamespace(helper("mqueue", mount), unix.CLONE_NEWNS|unix.CLONE_NEWIPC))
	mount = p.Path("root", mount)
	names, err := procfs.Queues(mount)
	must(t, err)
	equal(t, "queues", strings.Join(names, " "), "/jobs")
	q, err := procfs.ReadQueue(mount, "/jobs")
	must(t, err)
	equal(t, "queue", q, procfs.Queue{})
	equal(t, "Registered", q.Registered(), false)
	_, err = procfs.ReadQueue(mount, "/none")
	gone(t, "a queue that does not exist", err)
	for _, name := range []string{"", "/", "jobs", "/..", "/a/b", "//jobs"} {
		if _, err := procfs.ReadQueue(mount, name); err == nil || procfs.Gone(err) {
			t.Errorf("queue %q: got error %v, want one of the name", name, err)
		}
	}
}

func TestParseQueue(t *testing.T) {
	q, err := procfs.ParseQueue(strings.NewReader("QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260  \n"))
	must(t, err)
	equal(t, "queue", q, procfs.Queue{QSize: 129, Notify: procfs.NotifyThread, NotifyPID: 8260})
	equal(t, "as text", q.String(), "QSIZE:129 NOTIFY:2 (SIGEV_THREAD) SIGNO:0 NOTIFY_PID:8260")
	for _, text := range []string{"\n", "QSIZE:1 NOTIFY:2 SIGNO:0", "QSIZE:1 NOTIFY:2 SIGNO:0 PID:1",
		"QSIZE:x NOTIFY:2 SIGNO:0 NOTIFY_PID:1", "QSIZE:1 NOTIFY:-2 SIGNO:0 NOTIFY_PID:1"} {
		_, err := procfs.ParseQueue(strings.NewReader(text))
		refused(t, err, "mqueue", 1)
	}
	_, err = procfs.ParseQueue(strings.NewReader(""))
	refused(t, err, "mqueue", 0)
}

// A directory laid out like /proc serves as well, and errors carry its names.
func TestOtherMount(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "7"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "7/stat"), []byte(statText("x y")), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "7/status"), []byte("Name:\tx y\nnonsense\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "version"), nil, 0o600))
	all, err := procfs.New(dir).Stats()
	must(t, err)
	equal(t, "processes", len(all), 1)
	_, err = procfs.New(dir).Process(7).Status()
	refused(t, err, filepath.Join(dir, "7/status"), 2)
}
