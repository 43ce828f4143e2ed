package main_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// The specs show what the contract asks of a server. These tests are for what this server has beyond it.

var programs harness.Programs

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "server-test-")
	if err == nil {
		programs, err = harness.FindPrograms(dir)
	}
	if err == nil {
		err = harness.AdoptOrphans()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

func place(t *testing.T) harness.Place {
	t.Helper()
	p, err := harness.NewPlace()
	must(t, err)
	t.Cleanup(func() {
		if err := harness.KillAdopted(); err != nil {
			t.Error(err)
		}
		p.Remove()
	})
	return p
}

func start(t *testing.T, p harness.Place, more ...string) *harness.Server {
	t.Helper()
	return startIn(t, p, nil, more...)
}

// startIn starts the server with further orders to the launcher.
func startIn(t *testing.T, p harness.Place, orders []string, more ...string) *harness.Server {
	t.Helper()
	setting := harness.Hostile()
	setting.Orders = orders
	s, err := programs.StartServer(t.Context(), p, setting, more...)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, shape harness.Shape) *harness.Client {
	t.Helper()
	c, err := harness.NewClient(shape)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// fetch returns what a client gets.
func fetch(t *testing.T, s *harness.Server, path string) harness.Exchange {
	t.Helper()
	e, err := client(t, harness.Small).Fetch(t.Context(), s.Queue, path)
	must(t, err)
	return e
}

// send sends a request by hand.
func send(t *testing.T, s *harness.Server, reply, path string) {
	t.Helper()
	message, err := wire.Request{PID: 1, Reply: reply, Path: path}.Append(nil)
	must(t, err)
	must(t, harness.SendRaw(t.Context(), s.Queue, message))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually fails the test unless isTrue becomes true in time.
func eventually(t *testing.T, what string, isTrue func() bool) {
	t.Helper()
	ctx, cancel := harness.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !isTrue() {
		if ctx.Err() != nil {
			t.Fatal("in vain:", what)
		}
		runtime.Gosched()
	}
}

// run runs the server as an ordinary command: --status, --stop, --help.
func run(args ...string) (out string, status int) {
	cmd := exec.Command(programs.Server, args...)
	text, _ := cmd.CombinedOutput()
	return string(text), cmd.ProcessState.ExitCode()
}

func TestHelpFitsAScreen(t *testing.T) {
	out, status := run("--help")
	if lines := strings.Count(out, "\n"); status != 0 || lines > 24 || !strings.Contains(out, "examples:") {
		t.Errorf("exit status %d, %d lines:\n%s", status, lines, out)
	}
	for line := range strings.Lines(out) {
		if len(line) > 81 {
			t.Errorf("longer than 80 columns: %s", line)
		}
	}
}

// Output that could not be written must not count as written.
func TestLostOutputIsAnError(t *testing.T) {
	s := start(t, place(t))
	for _, command := range [][]string{{"--help"}, {"--status", "--pidfile", s.PIDFile}} {
		for stdout, reason := range map[string]string{">&-": "write stdout: closed", ">/dev/full": "no space left on device"} {
			cmd := exec.Command("sh", append([]string{"-c", `exec "$0" "$@" ` + stdout, programs.Server}, command...)...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			cmd.Run()
			if status := cmd.ProcessState.ExitCode(); status != 1 || !strings.Contains(stderr.String(), reason) {
				t.Errorf("%v %s: exit status %d: %s", command, stdout, status, &stderr)
			}
		}
	}
}

func TestStatusAndStopFindTheDaemonByItsLock(t *testing.T) {
	s := start(t, place(t))
	if out, status := run("--status", "--pidfile", s.PIDFile); status != 0 || !strings.Contains(out, strconv.Itoa(s.PID)) {
		t.Errorf("status: exit status %d: %s", status, out)
	}
	if out, status := run("--stop", "--status", "--pidfile", s.PIDFile); status != 2 || !s.Alive() {
		t.Errorf("both: exit status %d: %s", status, out)
	}
	if out, status := run("--stop", "--pidfile", s.PIDFile); status != 0 || s.Alive() {
		t.Errorf("stop: exit status %d: %s", status, out)
	}
	for _, flag := range []string{"--status", "--stop"} {
		if out, status := run(flag, "--pidfile", s.PIDFile); status != 3 || !strings.Contains(out, "not running") {
			t.Errorf("%s without a daemon: exit status %d: %s", flag, status, out)
		}
	}
}

func TestStopSparesAStrangerInAStaleFile(t *testing.T) {
	stranger := exec.Command("sleep", "1000")
	must(t, stranger.Start())
	defer stranger.Wait()
	defer stranger.Process.Kill()
	pidFile := filepath.Join(t.TempDir(), "pid")
	must(t, os.WriteFile(pidFile, fmt.Appendln(nil, stranger.Process.Pid), 0o644))
	if out, status := run("--stop", "--pidfile", pidFile); status != 3 {
		t.Errorf("exit status %d: %s", status, out)
	}
	if err := stranger.Process.Signal(unix.Signal(0)); err != nil {
		t.Error("the stranger was hit:", err)
	}
}

func TestEachTransferIsOneLineInTheLog(t *testing.T) {
	s := start(t, place(t))
	must(t, s.WriteFile("some file", []byte("0123456789")))
	c := client(t, harness.Small)
	for _, path := range []string{"some file", "missing"} {
		_, err := c.Fetch(t.Context(), s.Queue, path)
		must(t, err)
	}
	run("--stop", "--pidfile", s.PIDFile) // which flushes the log
	log, err := os.ReadFile(s.Log)
	must(t, err)
	for _, want := range []string{`sent "some file" to "` + c.ReplyName(), "10 bytes in", `failed "missing"`, "no such file"} {
		if strings.Count(string(log), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, log)
		}
	}
}

// inMidTransfer returns a client that has asked for a file and taken nothing of it yet.
func inMidTransfer(t *testing.T, s *harness.Server, path string) *harness.Client {
	t.Helper()
	c := client(t, harness.Shape{Depth: 1, MsgSize: 4096})
	must(t, c.Request(t.Context(), s.Queue, path))
	first, err := c.Next(t.Context())
	must(t, err)
	if first.Kind != wire.Info {
		t.Fatal("first came", first)
	}
	second, err := c.Next(t.Context())
	if err != nil || second.Kind != wire.Data {
		t.Fatal("then came", second, err)
	}
	return c
}

func TestAFileThatShrinksInMidTransferFails(t *testing.T) {
	s := start(t, place(t))
	must(t, s.WriteFile("file", make([]byte, 1<<20)))
	c := inMidTransfer(t, s, "file")
	must(t, os.Truncate(filepath.Join(s.Root, "file"), 8192))
	e, err := c.Finish(t.Context(), "file")
	if text, failed := e.Failed(); err != nil || !failed || !strings.Contains(text, "shrank") {
		t.Error(e.Summary(), err)
	}
}

func TestAFileThatGrowsIsSentAsInfoSaid(t *testing.T) {
	s := start(t, place(t))
	content := bytes.Repeat([]byte("x"), 1<<20)
	must(t, s.WriteFile("file", content))
	c := inMidTransfer(t, s, "file")
	must(t, s.WriteFile("file", append(content, "more"...)))
	e, err := c.Finish(t.Context(), "file")
	if err != nil || e.Last().Kind != wire.End || 4096+len(e.Content) != len(content) {
		t.Error(e.Summary(), len(e.Content), err)
	}
}

// receives reports whether a thread of the daemon is blocked in mq_timedreceive(2), see proc_pid_syscall(5).
func receives(t *testing.T, s *harness.Server) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", s.PID))
	must(t, err)
	for _, thread := range threads {
		call, err := os.ReadFile(thread)
		if err == nil && strings.HasPrefix(string(call), fmt.Sprintf("%d ", unix.SYS_MQ_TIMEDRECEIVE)) {
			return true
		}
	}
	return false
}

// One notification announces both requests: the first arrives in an empty queue, and keeps the worker busy for long.
func TestARequestBehindALongOneIsServed(t *testing.T) {
	s := start(t, place(t))
	must(t, s.WriteFile("large", make([]byte, 1<<20)))
	must(t, s.WriteFile("small", []byte("x")))
	eventually(t, "no worker waits", func() bool { return !receives(t, s) })
	must(t, s.Stop(t.Context()))
	long, next := client(t, tiny), client(t, harness.Small)
	must(t, long.Request(t.Context(), s.Queue, "large"))
	must(t, next.Request(t.Context(), s.Queue, "small"))
	must(t, s.Signal(unix.SIGCONT))
	ctx, cancel := harness.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if e, err := next.Finish(ctx, "small"); err != nil || string(e.Content) != "x" {
		t.Error(e.Summary(), err)
	}
}

func TestRequestsThatWaitAreRefusedAtTheEnd(t *testing.T) {
	s := start(t, place(t), "--transfers", "1")
	must(t, s.WriteFile("large", make([]byte, 1<<20)))
	slow := inMidTransfer(t, s, "large")
	c := client(t, harness.Small)
	must(t, c.Request(t.Context(), s.Queue, "large"))
	must(t, s.Signal(unix.SIGTERM))
	e, err := c.Finish(t.Context(), "large")
	if text, failed := e.Failed(); err != nil || !failed || !strings.Contains(text, "stopping") {
		t.Error(e.Summary(), err)
	}
	_, err = slow.Finish(t.Context(), "large")
	must(t, err)
}

// SIGTERM arrives when the server has taken some of the waiting requests but not all; how many depends on how many it
// has served.
func TestEveryRequestIsAnsweredAtTheEnd(t *testing.T) {
	path := strings.Repeat("./", 2000) + "small" // slow to resolve, even for the kernel
	for served := range 16 {
		s := start(t, place(t))
		must(t, s.WriteFile("small", []byte("x")))
		clients := make([]*harness.Client, 10)
		for i := range clients {
			clients[i] = client(t, harness.Small)
		}
		for range served {
			_, err := clients[0].Fetch(t.Context(), s.Queue, path)
			must(t, err)
		}
		must(t, s.Stop(t.Context()))
		for _, c := range clients {
			must(t, c.Request(t.Context(), s.Queue, path))
		}
		must(t, s.Signal(unix.SIGTERM))
		must(t, s.Signal(unix.SIGCONT))
		for i, c := range clients {
			e, err := c.Finish(t.Context(), path)
			if _, refused := e.Failed(); err != nil || !refused && string(e.Content) != "x" {
				t.Error("served", served, "request", i, e.Summary(), err)
			}
			c.Close()
		}
	}
}

func TestAnUnlinkedQueueIsMadeAgain(t *testing.T) {
	s := start(t, place(t))
	must(t, s.WriteFile("file", []byte("x")))
	must(t, mq.Unlink(s.Queue))
	mustServeSoon(t, s)
}

// Anybody who may send to the queue may also register for its notification while the server is not registered.
func TestAStolenRegistrationIsTakenBack(t *testing.T) {
	s := start(t, place(t))
	must(t, s.WriteFile("file", []byte("x")))
	thief, err := mq.Open(s.Queue, os.O_WRONLY, 0, nil)
	must(t, err)
	for stolen := false; !stolen; {
		// A stopped server is notified of a request and cannot register again.
		must(t, s.Stop(t.Context()))
		c := client(t, harness.Small)
		must(t, c.Request(t.Context(), s.Queue, "file"))
		stolen = thief.NotifyNone() == nil
		must(t, s.Signal(unix.SIGCONT))
		_, err := c.Finish(t.Context(), "file")
		must(t, err)
		c.Close()
	}
	must(t, thief.Close())
	mustServeSoon(t, s)
	eventually(t, "the server is registered again", func() bool {
		status, _, err := harness.QueueStatus(s.Queue)
		must(t, err)
		return status.NotifyPID == s.PID
	})
}

// mustServeSoon waits until the server has next checked its queue, see checkPeriod.
func mustServeSoon(t *testing.T, s *harness.Server) {
	t.Helper()
	ctx, cancel := harness.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := client(t, harness.Small)
	for c.Request(ctx, s.Queue, "file") != nil && ctx.Err() == nil {
		runtime.Gosched() // no queue of that name exists yet
	}
	if e, err := c.Finish(ctx, "file"); err != nil || string(e.Content) != "x" {
		t.Error(e.Summary(), err)
	}
}

func TestForegroundTellsTheServiceManager(t *testing.T) {
	p := place(t)
	socket := filepath.Join(p.Dir, "log", "notify") // where the account may write, too
	manager := listen(t, socket)
	defer manager.Close()

	cmd := exec.Command(programs.Server, append(p.Args(), "--foreground")...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket)
	must(t, cmd.Start())
	defer cmd.Process.Kill()
	if said := receive(t, manager); said != "READY=1" {
		t.Errorf("the manager was told %q first", said)
	}
	must(t, p.WriteFile("file", []byte("x")))
	e, err := client(t, harness.Small).Fetch(t.Context(), p.Queue, "file")
	if err != nil || string(e.Content) != "x" {
		t.Error(e.Summary(), err)
	}
	must(t, cmd.Process.Signal(unix.SIGTERM))
	if said := receive(t, manager); said != "STOPPING=1" {
		t.Errorf("the manager was told %q at the end", said)
	}
	must(t, cmd.Wait())
}

// The server must not wait for a manager that does not read, nor for a reader of the log that is gone.
func TestForegroundEndsWhateverHasGone(t *testing.T) {
	p := place(t)
	socket := filepath.Join(p.Dir, "log", "notify")
	manager := listen(t, socket)
	defer manager.Close()
	log, stderr, err := os.Pipe()
	must(t, err)
	defer stderr.Close()

	cmd := exec.Command(programs.Server, "--root", p.Root, "--queue", p.Queue, "--pidfile", p.PIDFile, "--foreground")
	cmd.Env, cmd.Stderr = append(os.Environ(), "NOTIFY_SOCKET="+socket), stderr
	must(t, cmd.Start())
	defer cmd.Process.Kill()
	receive(t, manager)
	must(t, log.Close())
	must(t, p.WriteFile("file", []byte("x")))
	if _, err := client(t, harness.Small).Fetch(t.Context(), p.Queue, "file"); err != nil {
		t.Fatal(err)
	}
	fill(t, socket)
	must(t, cmd.Process.Signal(unix.SIGTERM))
	must(t, cmd.Wait())
}

// fill fills the receive buffer of a datagram socket.
func fill(t *testing.T, socket string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	for err == nil {
		err = unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: socket})
	}
	if err != unix.EAGAIN {
		t.Fatal(err)
	}
}

// receive waits for the next message.
func receive(t *testing.T, socket *net.UnixConn) string {
	t.Helper()
	must(t, socket.SetReadDeadline(time.Now().Add(harness.Stretched(10*time.Second))))
	buf := make([]byte, 1000)
	n, err := socket.Read(buf)
	must(t, err)
	return string(buf[:n])
}

// listen makes a datagram socket that everybody may write to.
func listen(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	must(t, err)
	must(t, os.Chmod(name, 0o777))
	return socket
}

// A starter may set securebits that make setresuid(2) keep the capabilities.
func TestCapabilitiesGoWhateverTheSecurebits(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has capabilities to keep")
	}
	p := place(t)
	cmd := exec.Command(programs.Launcher, append([]string{"--no-setuid-fixup", "--", programs.Server}, p.Args()...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	left, err := harness.Adopted()
	if err != nil || len(left) != 1 {
		t.Fatal(left, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", left[0].Pid))
	must(t, err)
	for _, want := range []string{"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q:\n%s", want, status)
		}
	}
}

func TestTheBinariesNeedXSysAlone(t *testing.T) {
	for _, program := range []string{programs.Server, programs.Client} {
		out, err := exec.Command("go", "version", "-m", program).Output()
		must(t, err)
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "dep" && f[1] != "golang.org/x/sys" {
				t.Errorf("%s depends on %s", program, f[1])
			}
		}
	}
}
