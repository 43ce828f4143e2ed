package record_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/broken"
	"daemonlab/specs/harness"
	"daemonlab/specs/trace/birth"
	"daemonlab/specs/trace/event"
	"daemonlab/specs/trace/ptrace"
	"daemonlab/specs/trace/record"
)

const project = "../../.."

// programs are the project's own server and the launcher.
var programs harness.Programs

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "trace-test-")
	if err == nil {
		programs, err = harness.FindPrograms(dir)
	}
	status := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		harness.Now() // starts the clock
		status = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(status)
}

// solution builds the server in C.
func solution(t *testing.T) string {
	for _, tool := range []string{"gcc", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("there is no %s", tool)
		}
	}
	file := filepath.Join(t.TempDir(), "mqfiled")
	out, err := exec.Command("make", "-s", "-C", project+"/lab/c", "BIN="+filepath.Dir(file), file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// traced traces a server started in a directory of its own and checks that nothing of it is left.
func traced(t *testing.T, server string) *birth.Story {
	t.Helper()
	place, err := harness.NewPlace()
	must(t, err)
	defer place.Remove()
	must(t, place.WriteFile("file", []byte(strings.Repeat("x", 1000))))
	taken := take(t, t.Context(), append([]string{server}, place.Args()...)...)
	if harness.QueueExists(place.Queue) {
		t.Errorf("queue %s is left", place.Queue)
	}
	if _, err := os.Lstat(place.PIDFile); err == nil {
		t.Errorf("%s is left", place.PIDFile)
	}
	return birth.Read(taken)
}

func take(t *testing.T, ctx context.Context, command ...string) *event.Record {
	t.Helper()
	taken, err := record.Take(ctx, record.Options{Launcher: programs.Launcher}, command...)
	if errors.Is(err, ptrace.ErrDenied) {
		t.Skip(err)
	}
	must(t, err)
	nothingLeft(t, taken)
	return taken
}

func nothingLeft(t *testing.T, taken *event.Record) {
	t.Helper()
	for _, e := range taken.Events {
		ended, err := procfs.New("/proc").Process(e.PID).Ended()
		if e.PID != 0 && (err != nil || !ended) {
			t.Fatalf("process %d is left (%v)", e.PID, err)
		}
	}
}

// step is an expected row: who, the id, and how the call begins. %d is the daemon's PID, * matches anything.
type step struct{ role, id, call string }

// chains are what every correct daemon shows. The steps of a chain come in this order; different chains may interleave
// in any way.
var chains = [][]step{
	{
		{"original", "fds", "close_range(3, max"},
		{"original", "signals", "sigaction: SIG_DFL for "},
		{"original", "sigmask", "sigprocmask(SETMASK, none)"},
		{"original", "session", "*fork() = "},
		{"middle", "session", "setsid() = "},
		{"middle", "session", "*fork() = "},
		{"middle", "orphan", "exit(0)"},
		{"daemon", "orphan", "adopted by "},
		{"original", "orphan", "wait4() = "},
		{"original", "ready", "exit(0)"},
	},
	{
		{"original", "ready", "pipe()"},
		{"middle", "session", "*fork() = "},
		{"daemon", "stdio", "dup*(/dev/null, 0, 1, 2)"},
		{"daemon", "umask", "umask(000)"},
		{"daemon", "cwd", "chdir(/)"},
		{"daemon", "pidfile", "open(mqfiled.pid, "},
		{"daemon", "pidfile", "flock(mqfiled.pid, LOCK_EX|NB)"},
		{"daemon", "pidfile", `pwrite(mqfiled.pid, "%d\n")`},
		{"daemon", "notify", "mq_open(/spec-request-"},
		{"daemon", "notify", "mq_notify(SIGEV_THREAD)"},
		{"daemon", "ready", "write(pipe, "},
		{"original", "ready", "exit(0)"},
		{"trace", "", "mq_send(/spec-request-"},
		{"daemon", "notify", "*(netlink): notified"},
		{"daemon", "rearm", "mq_notify(SIGEV_THREAD)"},
		{"daemon", "rearm", "mq_receive(/spec-request-"},
		{"trace", "", "got INFO 1000, 2 x DATA, END"},
		{"trace", "", "kill(SIGTERM)"},
		{"daemon", "notify", "mq_unlink(/spec-request-"},
		{"daemon", "", "exit(0)"},
	},
}

func TestRightServers(t *testing.T) {
	for name, build := range map[string]func(*testing.T) string{
		"Go": func(*testing.T) string { return programs.Server }, "C": solution,
	} {
		t.Run(name, func(t *testing.T) {
			story := traced(t, build(t))
			for _, v := range story.Verdicts {
				if !v.OK {
					t.Errorf("%s is marked: %s", v.ID, v.Text.EN)
				}
			}
			for _, chain := range chains {
				inOrder(t, story, chain)
			}
			if os.Geteuid() == 0 {
				inOrder(t, story, []step{{"daemon", "privileges", "setgroups("}, {"daemon", "privileges", "setresgid("},
					{"daemon", "privileges", "setresuid("}, {"daemon", "ready", "write(pipe, "}})
			}
		})
	}
}

// inOrder looks for each step after the one before.
func inOrder(t *testing.T, story *birth.Story, chain []step) {
	t.Helper()
	i := 0
	for _, step := range chain {
		call := step.call
		if strings.Contains(call, "%d") {
			call = fmt.Sprintf(call, pidOf(story, "daemon"))
		}
		from := i
		for i < len(story.Rows) && !is(story, &story.Rows[i], step.role, step.id, call) {
			i++
		}
		if i == len(story.Rows) {
			t.Fatalf("no %q of the %s, with the id %q, behind row %d of\n%s", call, step.role, step.id, from, listing(story))
		}
		i++
	}
}

// is matches a row against a step.
func is(story *birth.Story, row *birth.Row, role, id, call string) bool {
	begin, rest, open := strings.Cut(call, "*")
	text, ok := strings.CutPrefix(row.Text.EN, begin)
	return ok && (!open && rest == "" || strings.Contains(text, rest)) && row.ID == id && story.Role(row.PID).EN == role
}

func pidOf(story *birth.Story, role string) int {
	for _, p := range story.Processes {
		if p.Role.EN == role {
			return p.PID
		}
	}
	return 0
}

func listing(story *birth.Story) string {
	var b strings.Builder
	for i, row := range story.Rows {
		fmt.Fprintf(&b, "%3d %-9s %-10s %s %v\n", i, story.Role(row.PID).EN, row.ID, row.Text.EN, row.Marks)
	}
	return b.String()
}

// faults says where the fault of a program of specs/broken must be marked.
var faults = []struct{ name, id, call, mark string }{
	{"session-process-group", "session", "setpgid(0, 0)", "setsid is missing"},
	{"fds-up-to-255", "fds", "close_range(3, 255, CLOEXEC)", "300, 1023"},
	{"ready-before-registration", "ready", `write(pipe, "ready")`, "is done: mq_notify"},
	{"rearm-after-drain", "rearm", "mq_notify(SIGEV_THREAD)", "drained before this registration"},
	{"pidfile-original", "pidfile", "pwrite(mqfiled.pid", "is the original"},
	{"instance-unlocked", "pidfile", "pwrite(mqfiled.pid", "not locked"},
	{"pidfile-lock-lost", "pidfile", "close(mqfiled.pid", "releases a fcntl(2) lock"},
	{"sigmask-forgotten", "sigterm", "", "s after SIGTERM"},
	{"instance-truncates", "instance", "open(mqfiled.pid", "O_TRUNC before the lock"},
}

func TestBrokenServers(t *testing.T) {
	all, err := broken.Load("../../broken")
	must(t, err)
	var builds sync.WaitGroup
	programs, files, errs := make([]broken.Program, len(faults)), make([]string, len(faults)), make([]error, len(faults))
	for n, want := range faults {
		programs[n] = all[slices.IndexFunc(all, func(p broken.Program) bool { return p.Name == want.name })]
		if programs[n].Missing() == "" {
			dir := t.TempDir()
			builds.Go(func() { files[n], errs[n] = programs[n].Build(t.Context(), project, dir) })
		}
	}
	builds.Wait() // a trace looks for leftovers among all children, and reaps them: no builds meanwhile
	for n, want := range faults {
		t.Run(want.name, func(t *testing.T) {
			if missing := programs[n].Missing(); missing != "" {
				t.Skipf("there is no %s", missing)
			}
			must(t, errs[n])
			if want.id == "sigterm" {
				hasten(t, harness.Patience)
			}
			story := traced(t, files[n])
			if !marked(story, want.id, want.call, want.mark) {
				t.Errorf("no mark %q of %s at a row %q in\n%s", want.mark, want.id, want.call, listing(story))
			}
			for _, v := range story.Verdicts {
				if v.ID == want.id && v.OK || !v.OK && !slices.Contains(programs[n].Kills, v.ID) {
					t.Errorf("the verdict on %s is %v: %s", v.ID, v.OK, v.Text.EN)
				}
			}
		})
	}
}

func marked(story *birth.Story, id, call, mark string) bool {
	for _, row := range story.Rows {
		for _, m := range row.Marks {
			if m.ID == id && strings.HasPrefix(row.Text.EN, call) && strings.Contains(m.Text.EN, mark) {
				return true
			}
		}
	}
	return false
}

// hasten shortens the waits for what will not come.
func hasten(t *testing.T, patience time.Duration) {
	usual, grace, slack := harness.Patience, record.Grace, harness.Slack
	harness.Patience, record.Grace, harness.Slack = patience, 250*time.Millisecond, 100*time.Millisecond
	t.Cleanup(func() { harness.Patience, record.Grace, harness.Slack = usual, grace, slack })
}

// TestNoDaemon traces programs that never become a daemon: the picture goes as far as they got.
func TestNoDaemon(t *testing.T) {
	usual := harness.Patience
	for _, want := range []struct {
		name     string
		command  []string
		ready    string
		ok       bool
		patience time.Duration
	}{
		{"hangs", []string{"sleep", "1000"}, "did not return", false, 250 * time.Millisecond},
		{"fails", []string{"sh", "-c", "echo out of order >&2; exit 3"}, "exit status 3", false, usual},
		{"returns at once", []string{"true"}, "no process is left", false, usual},
		{"leaves a process", []string{"sh", "-c", `sleep 1000 & until read -r c </proc/$!/comm && [ "$c" = sleep ]; do :; done`}, "when the daemon was ready", true, usual},
		{"leaves one without a queue", []string{"sh", "-c", "sleep 1000 &", "--queue"}, "nobody is registered", false, time.Second},
		{"dies", []string{"sh", "-c", "kill -SEGV $$"}, "killed by SIGSEGV", false, usual},
	} {
		t.Run(want.name, func(t *testing.T) {
			hasten(t, want.patience)
			taken := take(t, t.Context(), want.command...)
			verdicts := birth.Read(taken).Verdicts
			i := slices.IndexFunc(verdicts, func(v birth.Verdict) bool { return v.ID == "ready" })
			if i < 0 || verdicts[i].OK != want.ok || !strings.Contains(verdicts[i].Text.EN, want.ready) {
				t.Errorf("among %v there is no verdict %v on ready: %q", verdicts, want.ok, want.ready)
			}
			if want.name == "fails" && taken.Stderr != "out of order\n" {
				t.Errorf("stderr is %q", taken.Stderr)
			}
		})
	}
}

// TestMainThreadEnds traces a daemon whose main thread is a zombie, with neither memory nor descriptors.
func TestMainThreadEnds(t *testing.T) {
	const source = `
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
static pthread_t first;
static void *stay(void *arg)
{
	pthread_join(first, NULL);
	dup2(open("/dev/null", O_RDWR), 0);
	for (;;)
		pause();
}
int main(void)
{
	pthread_t thread;
	if (fork() > 0)
		return 0;
	umask(0);
	chdir("/");
	first = pthread_self();
	pthread_create(&thread, NULL, stay, NULL);
	pthread_exit(NULL);
}`
	file := filepath.Join(t.TempDir(), "d")
	gcc := exec.Command("gcc", "-w", "-pthread", "-o", file, "-x", "c", "-")
	gcc.Stdin = strings.NewReader(source)
	if out, err := gcc.CombinedOutput(); errors.Is(err, exec.ErrNotFound) {
		t.Skip(err)
	} else if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	hasten(t, harness.Patience)
	story := birth.Read(take(t, t.Context(), file))
	inOrder(t, story, []step{{"daemon", "stdio", "dup2(/dev/null, 0)"}, {"trace", "", "kill(SIGTERM)"}, {"daemon", "", "killed by this trace"}})
	for id, want := range map[string]string{"umask": "is 0", "cwd": "is /", "sigterm": "block; the trace kills it"} {
		if !slices.ContainsFunc(story.Verdicts, func(v birth.Verdict) bool { return v.ID == id && strings.HasSuffix(v.Text.EN, want) }) {
			t.Errorf("there is no verdict %q on %s among %v", want, id, story.Verdicts)
		}
	}
}

func TestNoProgram(t *testing.T) {
	_, err := record.Take(t.Context(), record.Options{Launcher: programs.Launcher}, "/no/such/program")
	if !errors.Is(err, unix.ENOENT) {
		t.Errorf("error %v", err)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(50*time.Millisecond, cancel)
	begin := time.Now()
	taken, err := record.Take(ctx, record.Options{Launcher: programs.Launcher}, "sleep", "1000")
	if errors.Is(err, ptrace.ErrDenied) {
		t.Skip(err)
	}
	if !errors.Is(err, context.Canceled) || time.Since(begin) > harness.Patience {
		t.Errorf("error %v after %v", err, time.Since(begin))
	}
	nothingLeft(t, taken)
}
