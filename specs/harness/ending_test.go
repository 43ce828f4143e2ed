package harness

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
)

// After a fault the source line is named, if the kernel log is readable.
func TestCrashLineIsNamed(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program+".c", []byte("int at(int *p)\n{\n\treturn *p;\n}\nint main(void)\n{\n\treturn at(0);\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-g", "-O0", "-o", program, program+".c").CombinedOutput(); err != nil {
		t.Skipf("gcc does not work here: %v %s", err, out)
	}
	if _, err := unix.Klogctl(3, make([]byte, 1)); err != nil {
		t.Skipf("the kernel's log: %v", err)
	}
	if _, err := exec.LookPath("addr2line"); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(program)
	cmd.Run()
	line := ""
	for deadline := time.Now().Add(5 * time.Second); line == "" && time.Now().Before(deadline); { // the log lags
		line = crashLine(cmd.Process.Pid, program)
	}
	if !regexp.MustCompile(`^at\(\) \(program\.c:3\)$`).MatchString(line) {
		t.Errorf("%q", line)
	}
}

// When a process's first thread has ended, /proc shows the process as a zombie.
func TestAProcessLivesAsLongAsAThread(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program+".c", []byte("#include <pthread.h>\n#include <unistd.h>\n"+
		"static void *stay(void *p) { pause(); return p; }\n"+
		"int main(void) { pthread_t t; pthread_create(&t, 0, stay, 0); pthread_exit(0); }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-pthread", "-o", program, program+".c").CombinedOutput(); err != nil {
		t.Skipf("gcc does not work here: %v %s", err, out)
	}
	cmd := exec.Command(program)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	daemon := &Server{Process: proc.Process(cmd.Process.Pid), PID: cmd.Process.Pid}
	first := procfs.Stat{}
	for deadline := time.Now().Add(5 * time.Second); !first.State.Ended() && time.Now().Before(deadline); {
		first, _ = daemon.Process.Stat()
	}
	living, err := Adopted()
	if !first.State.Ended() || err != nil || len(living) != 1 || living[0].Pid != cmd.Process.Pid || !daemon.Alive() {
		t.Errorf("first thread: %v, living: %v, %v, daemon alive: %v", first.State, living, err, daemon.Alive())
	}
	files, filesErr := daemon.OpenFiles()
	cwd, cwdErr := daemon.Process.Cwd()
	status, statusErr := daemon.Process.Status()
	env, envErr := daemon.Process.LiveEnviron()
	if err := errors.Join(filesErr, cwdErr, statusErr, envErr); err != nil || files < 3 || cwd == "" || status.Umask < 0 ||
		status.VmRSS == 0 || len(env.Vars) == 0 {
		t.Errorf("%d descriptors, cwd %q, umask %d, %d bytes, variables: %v, %v", files, cwd, status.Umask, status.VmRSS,
			env.Vars, err)
	}
}

// Rows are judged in parallel, and the queues of all count against one limit.
func TestStartIsRepeatedForLackOfQueueRoom(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	script := "#!/bin/sh\n[ -e $0.again ] || { touch $0.again; echo 'mqfiled: /q: Too many open files' >&2; exit 1; }\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if start, err := (Programs{Launcher: program}).Run(t.Context(), Setting{}, "mqfiled"); err != nil || start.Exit != 0 {
		t.Errorf("%+v, %v", start, err)
	}
}

func TestHangingStartSaysWhatItWaitsFor(t *testing.T) {
	for script, says := range map[string]string{
		"sleep 1000; :": "it is waiting in wait(2) for its child", "exec cat <&3": "it is reading from a pipe",
	} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", script)
		cmd.ExtraFiles = []*os.File{reader}
		cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := ""
		for deadline := time.Now().Add(5 * time.Second); !strings.HasPrefix(said, says) && time.Now().Before(deadline); {
			doing, _ := whatItDoes(cmd.Process.Pid)
			said = doing.EN
		}
		unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		cmd.Wait()
		reader.Close()
		writer.Close()
		if !strings.HasPrefix(said, says) {
			t.Errorf("of %q: %s", script, said)
		}
	}
}

func TestStarvedStartGetsMoreTime(t *testing.T) {
	group, err := StarvedGroup(5)
	if err != nil {
		t.Skip(err)
	}
	defer func() {
		if err := RemoveGroup(group); err != nil {
			t.Error(err)
		}
	}()
	usual := Patience
	Patience = time.Second
	defer func() { Patience = usual }()
	program := filepath.Join(t.TempDir(), "program")
	script := "#!/bin/sh\necho 0 >" + group + "/cgroup.procs\nfor i in $(seq 200000); do :; done\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if start, err := (Programs{Launcher: program}).Run(t.Context(), Setting{}, "mqfiled"); err != nil || start.Exit != 0 {
		t.Errorf("%+v, %v", start, err)
	}
}

// While other processes use the processors the clock nearly stands still; on it, a daemon that only sleeps would have
// unlimited time.
func TestSleepIsTheDaemonsOwnTime(t *testing.T) {
	for script, inTime := range map[string]bool{"exec sleep 1000": false, "while :; do :; done": true} {
		cmd := exec.Command("sh", "-c", script)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		daemon := &Server{Process: proc.Process(cmd.Process.Pid)}
		watch := Stopwatch{now: Now() + time.Hour}
		const limit = 100 * time.Millisecond
		for n := 0; n < 300 && watch.Within(limit); n++ {
			time.Sleep(5 * time.Millisecond)
			watch.Look(daemon)
		}
		cmd.Process.Kill()
		cmd.Wait()
		if got := watch.Within(limit); got != inTime {
			t.Errorf("%s: in time: %v, %+v", script, got, watch)
		}
	}
}

func TestClockIsSlowWhileADaemonWaitsForADisk(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	build := exec.Command("gcc", "-w", "-x", "c", "-o", program, "-")
	build.Stdin = strings.NewReader("int main() { if (vfork() == 0) for (;;) pause(); }") // in state D
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("gcc: %v: %s", err, out)
	}
	cmd := exec.Command(program)
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		cmd.Wait()
	}()
	daemon := &Server{Place: Place{Queue: QueueName("disk")}, Process: proc.Process(cmd.Process.Pid)}
	daemons.Store(daemon.Queue, daemon)
	defer daemons.Delete(daemon.Queue)
	for deadline := time.Now().Add(5 * time.Second); !waitForDisk() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	watch := NewStopwatch()
	time.Sleep(2 * time.Second)
	if !watch.Within(time.Second) {
		t.Errorf("more than a second has passed on the clock in %v", watch.Took())
	}
}

func TestNoWaitForAnEndedDaemon(t *testing.T) {
	c, err := NewClient(Small)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dead := &Server{Place: Place{Queue: QueueName("dead")}}
	var end context.CancelFunc
	dead.ended, end = context.WithCancel(t.Context())
	end()
	daemons.Store(dead.Queue, dead)
	defer daemons.Delete(dead.Queue)
	c.asked = dead.Queue
	if err := SendRaw(t.Context(), c.ReplyName(), []byte("its last words")); err != nil {
		t.Fatal(err)
	}
	watch := NewStopwatch()
	e, err := c.Begin(t.Context(), 2)
	if len(e.Messages) != 1 || !errors.Is(err, ErrSilent) || !watch.Within(Patience/2) {
		t.Errorf("%v, %v after %v", e.Summary(), err, watch.Took())
	}
}
