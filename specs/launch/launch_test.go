package main_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/check"
	"daemonlab/specs/harness"
)

var launcher string

// helperEnv names the part that this test binary plays as the launched program.
const helperEnv = "LAUNCH_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helperEnv) {
	case "securebits":
		bits, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0)
		fmt.Println(bits, err)
	case "read":
		self, _ := os.Open("/proc/self/exe")
		for _, offset := range []int64{0, 4095, 4096, 8192} {
			_, err := self.ReadAt(make([]byte, 1), offset)
			fmt.Println(errors.Unwrap(err))
		}
	case "notify":
		_, _, errno := unix.Syscall(unix.SYS_MQ_NOTIFY, ^uintptr(0), 0, 0)
		fmt.Println(errno)
	default:
		os.Exit(build(m))
	}
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "launch")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	launcher = filepath.Join(dir, "launch")
	if err := check.Build(launcher, "daemonlab/specs/launch"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// target is cat(1), which leaves its setting alone and exits at end of input.
type target struct {
	procfs.Process
	cmd *exec.Cmd
}

// start makes the launcher start cat and returns once cat has echoed something and so is running.
func start(t *testing.T, given []*os.File, orders ...string) target {
	t.Helper()
	cmd := exec.Command(launcher, append(orders, "--", "cat")...)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	cmd.ExtraFiles, cmd.Stderr = given, os.Stderr
	must(t, cmd.Start())
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	_, err = stdin.Write([]byte("?"))
	must(t, err)
	_, err = io.ReadFull(stdout, make([]byte, 1))
	must(t, err)
	return target{procfs.New("/proc").Process(cmd.Process.Pid), cmd}
}

var must = check.Must

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %.500q, want %.500q", what, fmt.Sprint(got), fmt.Sprint(want))
	}
}

// TestHostile uses the setting of the daemon's specs.
func TestHostile(t *testing.T) {
	file, pipe, socket, terminal := hostileFiles(t)
	env := []string{"PATH=/bin", "LD_LIBRARY_PATH=/nonexistent", "IFS=/", "no equals sign", "TWICE=1", "TWICE=2", "E=",
		"BYTES=\xff\n", "LONG=" + strings.Repeat("x", 100<<10)}
	orders := []string{"--plant=3:7,4:300,5:3,3:1023", "--terminal=6", "--umask=077",
		"--block=SIGTERM,SIGUSR1", "--ignore=SIGHUP,SIGINT,SIGCHLD,SIGUSR2", "--ignore=SIGPIPE,SIGALRM,SIGRTMIN,SIGRTMAX",
		"--rlimit=nofile=1024:1024,fsize=0:0"}
	for _, entry := range env {
		orders = append(orders, "--env", entry)
	}
	p := start(t, []*os.File{file, pipe, socket, terminal}, orders...)

	checkFiles(t, p, map[int]*os.File{3: socket, 7: file, 300: pipe, 1023: file})
	checkStatus(t, p, procfs.NewSignalSet(unix.SIGTERM, unix.SIGUSR1), procfs.NewSignalSet(unix.SIGHUP, unix.SIGINT,
		unix.SIGCHLD, unix.SIGUSR2, unix.SIGPIPE, unix.SIGALRM, 34, 64), 0o77)
	checkSession(t, p, terminal)
	vars, err := p.Environ()
	must(t, err)
	equal(t, "environment", vars, env)
	equal(t, "RLIMIT_NOFILE", p.limit(t, unix.RLIMIT_NOFILE), unix.Rlimit{Cur: 1024, Max: 1024})
	equal(t, "RLIMIT_FSIZE", p.limit(t, unix.RLIMIT_FSIZE), unix.Rlimit{})
}

func (p target) limit(t *testing.T, resource int) (limit unix.Rlimit) {
	t.Helper()
	must(t, unix.Prlimit(p.PID(), resource, nil, &limit))
	return limit
}

// hostileFiles opens one file of each kind identified by device and inode, and a terminal.
func hostileFiles(t *testing.T) (file, pipe, socket, terminal *os.File) {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	read, pipe, err := os.Pipe()
	must(t, err)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	socket = os.NewFile(uintptr(pair[0]), "socket")
	master, terminal, err := harness.OpenTerminal()
	if err != nil {
		t.Skip("needs a pseudo-terminal: ", err)
	}
	t.Cleanup(func() {
		unix.Close(pair[1])
		for _, f := range []*os.File{file, read, pipe, socket, master, terminal} {
			f.Close()
		}
	})
	return file, pipe, socket, terminal
}

// checkFiles checks that the target has the planted files at their numbers, the standard files, and no others.
func checkFiles(t *testing.T, p target, planted map[int]*os.File) {
	t.Helper()
	fds, err := p.Descriptors()
	must(t, err)
	var numbers []int
	for _, fd := range fds {
		numbers = append(numbers, fd.Number)
		equal(t, fmt.Sprintf("close-on-exec of %v", fd), fd.Flags&unix.O_CLOEXEC, 0)
		if f := planted[fd.Number]; f != nil {
			var st unix.Stat_t
			must(t, unix.Fstat(int(f.Fd()), &st))
			equal(t, fmt.Sprintf("identity of %v", fd), fd.ID, procfs.FileID{Dev: st.Dev, Ino: st.Ino})
		}
	}
	equal(t, "descriptors", numbers, append([]int{0, 1, 2}, slices.Sorted(maps.Keys(planted))...))
}

func checkStatus(t *testing.T, p target, blocked, ignored procfs.SignalSet, umask int) {
	t.Helper()
	s, err := p.Status()
	must(t, err)
	equal(t, "Name", s.Name, "cat")
	equal(t, "PPid", s.PPid, os.Getpid())
	equal(t, "Threads", s.Threads, 1)
	equal(t, "SigBlk", s.SigBlk, blocked)
	equal(t, "SigIgn", s.SigIgn, ignored)
	equal(t, "SigCgt", s.SigCgt, 0)
	equal(t, "SigPnd", s.SigPnd, 0)
	equal(t, "ShdPnd", s.ShdPnd, 0)
	equal(t, "Umask", s.Umask, umask)
}

func checkSession(t *testing.T, p target, terminal *os.File) {
	t.Helper()
	s, err := p.Stat()
	must(t, err)
	equal(t, "session", s.Session, p.PID())
	var st unix.Stat_t
	must(t, unix.Fstat(int(terminal.Fd()), &st))
	equal(t, "terminal", s.TTY, procfs.TTY(st.Rdev))
}

// TestPlain starts in a bad setting without orders.
func TestPlain(t *testing.T) {
	file, pipe, _, _ := hostileFiles(t)
	p := start(t, []*os.File{file, pipe}, "--plant=3:40,4:41", "--block=SIGTERM", "--ignore=SIGHUP,SIGPIPE,SIGRTMIN",
		"--umask=027", "--", launcher, "--umask=022")
	checkFiles(t, p, nil)
	checkStatus(t, p, 0, 0, 0o22)
	s, err := p.Stat()
	must(t, err)
	session, err := unix.Getsid(0)
	must(t, err)
	equal(t, "session", s.Session, session)
	vars, err := p.Environ()
	must(t, err)
	equal(t, "environment", vars, os.Environ())
}

// A limit that no order sets is the one that the launcher was started with, although Go has raised it since.
func TestLimitIsHandedOn(t *testing.T) {
	p := start(t, nil, "--rlimit=nofile=100:200", "--", launcher)
	equal(t, "RLIMIT_NOFILE", p.limit(t, unix.RLIMIT_NOFILE), unix.Rlimit{Cur: 100, Max: 200})
}

func TestDescriptorAboveTheLimit(t *testing.T) {
	p := start(t, []*os.File{os.Stdin}, "--plant=3:150", "--rlimit=nofile=100:100")
	checkFiles(t, p, map[int]*os.File{150: os.Stdin})
}

func TestSecurebits(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can have securebits to leave behind")
	}
	out, err := run(t, "securebits", "--no-setuid-fixup")
	must(t, err)
	equal(t, "securebits", out, "4 <nil>\n")
}

// run launches this test binary to play a part.
func run(t *testing.T, part string, orders ...string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	out, err := exec.Command(launcher, append(orders, "--env", helperEnv+"="+part,
		"--env=GORACE=atexit_sleep_ms=0", "--", self)...).Output()
	return string(out), err
}

func TestKillAtSystemCall(t *testing.T) {
	out, err := run(t, "notify", "--kill-at-notify")
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != unix.SIGSYS {
		t.Errorf("got %q, %v, want a death by SIGSYS", out, err)
	}
	out, err = run(t, "notify")
	must(t, err)
	equal(t, "mq_notify", out, "bad file descriptor\n")
}

func TestBadDisk(t *testing.T) {
	out, err := run(t, "read", "--bad-from=4096")
	must(t, err)
	equal(t, "four reads", out, "<nil>\n<nil>\ninput/output error\ninput/output error\n")
}

func TestErrors(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	must(t, os.WriteFile(broken, []byte("\x7fELF"), 0o755))
	for want, args := range map[string][]string{
		"no program to start":                    {},
		`exec: "/nonexistent": stat`:             {"/nonexistent"},
		`invalid value "TERM"`:                   {"--block=TERM", "cat"},
		"not FROM:TO":                            {"--plant=3:2", "cat"},
		"fcntl F_DUPFD_CLOEXEC of 99":            {"--plant=99:7", "cat"},
		"TIOCSCTTY of descriptor 2":              {"--terminal=2", "cat"},
		"exec " + broken + ": exec format error": {"--plant=0:3", "--ignore=SIGPIPE", broken},
		"setrlimit nofile: invalid argument":     {"--rlimit=nofile=2:1", "cat"},
	} {
		cmd := exec.Command(launcher, args...)
		out, _ := cmd.CombinedOutput()
		equal(t, fmt.Sprintf("status of %q", args), cmd.ProcessState.ExitCode(), 125)
		if !strings.HasPrefix(string(out), "launch: ") || !strings.Contains(string(out), want) {
			t.Errorf("%q said %q, want launch: ... %s", args, out, want)
		}
	}
}

func TestConfine(t *testing.T) {
	p := start(t, nil, "--confine", "--rlimit", "data=1073741824:1073741824")
	status, err := p.Status()
	must(t, err)
	equal(t, "CapAmb", status.CapAmb, 0)
	for _, c := range []int{unix.CAP_SYS_PTRACE, unix.CAP_SYS_ADMIN, unix.CAP_SYS_RESOURCE, unix.CAP_DAC_READ_SEARCH} {
		equal(t, "has capability", status.CapPrm.Has(c), false)
		if os.Geteuid() == 0 { // exec grants it to root alone
			equal(t, "could have it", status.CapBnd.Has(c), false)
		}
	}
	equal(t, "can change its user", status.CapEff.Has(unix.CAP_SETUID), os.Geteuid() == 0)
	first, err := os.ReadFile(p.Path("oom_score_adj"))
	must(t, err)
	equal(t, "oom_score_adj", string(first), "1000\n")
	limits, err := os.ReadFile(p.Path("limits"))
	must(t, err)
	if !strings.Contains(string(limits), "Max data size             1073741824           1073741824") {
		t.Errorf("no limit of data:\n%s", limits)
	}
}
