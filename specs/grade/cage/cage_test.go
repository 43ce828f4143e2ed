package cage_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/check"
	"daemonlab/specs/grade/cage"
	"daemonlab/specs/harness"
)

var must = check.Must

var (
	cages     *cage.Cages
	temporary string // removed at the end, with what a killed grader leaves there
)

func TestMain(m *testing.M) {
	cage.Init()
	if os.Getenv(helperEnv) == findsKey {
		_, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", secretKey, 0)
		fmt.Print(err)
		return
	}
	haveKey()
	if err := harness.AdoptOrphans(); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "cage-test-")
	if err != nil {
		panic(err)
	}
	temporary = dir
	run := m.Run
	if os.Getenv(helperEnv) != "" {
		run = hold
	}
	status, err := withCages(dir, run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.RemoveAll(dir)
	os.Exit(status)
}

const (
	launchTool = iota
	selfTool
)

// helperEnv makes the test binary play a grader that gets killed.
const helperEnv = "CAGE_TEST_HELPER"

// secretKey is in this process's session keyring, which threads inherit at their start.
const secretKey, findsKey, keyed = "cage-test-secret", "key", "CAGE_TEST_KEYED"

func haveKey() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if os.Getenv(keyed) != "" {
		return
	}
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)
	if err == nil {
		_, err = unix.AddKey("user", secretKey, []byte("secret"), unix.KEY_SPEC_SESSION_KEYRING)
	}
	if err == nil {
		err = unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), keyed+"=1"))
	}
	fmt.Fprintln(os.Stderr, "no keys are tested:", err)
}

// TestKeys looks for the grader's key as the judge, which has more rights than a submission.
func TestKeys(t *testing.T) {
	if os.Getenv(keyed) == "" {
		t.Skip("no keys here: keyctl(2) failed")
	}
	j, said := job(t, "", true)
	j.Command, j.Env = []string{cages.Tool(selfTool)}, append(j.Env, helperEnv+"="+findsKey)
	run(t, j)
	if said.String() != unix.ENOKEY.Error() {
		t.Errorf("the grader's key: %s", said)
	}
}

// hold runs a cage that reports, once it has a process in another session, and then waits.
func hold() int {
	cages.Run(context.Background(), cage.Job{
		Command: []string{"/bin/sh", "-c", "setsid sleep 1000000 & echo ready; sleep 1000000"},
		Env:     cage.Environment(), Stdout: os.Stdout,
	})
	return 1
}

func withCages(dir string, run func() int) (int, error) {
	launcher, work := filepath.Join(dir, "launch"), filepath.Join(dir, "work")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(work, 0o755)); err != nil {
		return 0, err
	}
	if err := check.Build(launcher, "daemonlab/specs/launch"); err != nil {
		return 0, err
	}
	var tools []*os.File
	for _, path := range []string{launcher, "/proc/self/exe"} {
		tool, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		defer tool.Close()
		tools = append(tools, tool)
	}
	cages, refused = cage.Open(work, nil, tools)
	if refused == nil {
		defer cages.Close()
	} else if exec.Command("unshare", "--map-root-user", "--mount", "true").Run() == nil {
		return 0, refused
	}
	return run(), nil
}

// refused is the reason why no cage can be made, where users get no namespaces, as in Docker containers.
var refused error

// job is a shell command in a cage, the judge's if trusted, else a submission's.
func job(t *testing.T, script string, trusted bool) (cage.Job, *bytes.Buffer) {
	t.Helper()
	if refused != nil {
		t.Skip(refused)
	}
	said := &bytes.Buffer{}
	command := []string{"/bin/sh", "-c", script}
	if !trusted {
		command = append(append([]string{cages.Tool(launchTool)}, cages.Confine()...), append([]string{"--"}, command...)...)
	}
	return cage.Job{
		Command: command, Env: cage.Environment(), Trusted: trusted, Stdout: said, Stderr: said,
	}, said
}

func run(t *testing.T, j cage.Job) int {
	t.Helper()
	exit, err := cages.Run(t.Context(), j)
	must(t, err)
	return exit
}

func says(t *testing.T, script string) string {
	t.Helper()
	j, said := job(t, script, false)
	run(t, j)
	return strings.TrimSpace(said.String())
}

func TestStatus(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -TERM $$": 143} {
		j, _ := job(t, script, false)
		if exit := run(t, j); exit != want {
			t.Errorf("%s: got %d, want %d", script, exit, want)
		}
	}
}

// TestWithin checks what a submission's shell sees of the cage.
func TestWithin(t *testing.T) {
	check.Slow(t)
	secret, err := os.CreateTemp("", "cage-test-secret-")
	must(t, err)
	defer os.Remove(secret.Name())
	for name, c := range map[string]struct{ script, want string }{
		"no capability over mounts": {"mount -t tmpfs x /run 2>/dev/null || echo refused", "refused"},
		"no namespaces":             {"unshare -U true 2>/dev/null || echo refused", "refused"},
		"the machine's files":       {"cat " + secret.Name() + " 2>/dev/null || echo none", "none"},
		"read-only system":          {"(: >/usr/bin/x) 2>/dev/null || (: >/x) 2>/dev/null || (: >/etc/passwd) 2>/dev/null || echo refused", "refused"},
		"network":                   {"grep -vc -e : -e lo /proc/net/dev", "2"},          // two header lines
		"sockets, System V IPC":     {"cat /proc/net/unix /proc/sysvipc/* | wc -l", "4"}, // header lines
		"no new privileges":         {"grep -o 'NoNewPrivs:.*1' /proc/self/status | tr -d '\t'", "NoNewPrivs:1"},
		"first process":             {"kill -KILL 1 2>/dev/null; kill -TERM 1 2>/dev/null; sleep 0.1; echo lives", "lives"},
		"tools":                     {"cat /proc/1/fd/7 >/dev/null 2>&1 || echo hidden", "hidden"},
		"memory of others":          {"cat /proc/1/environ /proc/1/mem >/dev/null 2>&1 || echo hidden", "hidden"},
		"limits of others":          {"prlimit --pid 1 --nofile=64:64 2>/dev/null || prlimit --pid $PPID --nofile 2>/dev/null || echo refused", "refused"},
		"own limits":                {"prlimit --nofile=64:64 sh -c 'ulimit -n'", "64"},
		"settings of the namespace": {"for f in fs/mqueue/msgsize_max kernel/msgmax kernel/pid_max user/max_user_namespaces; do (echo 128 >/proc/sys/$f) 2>/dev/null && echo $f; done; echo none", "none"},
		"no core dumps":             {"prlimit --core --output=SOFT,HARD --noheadings --raw", "1 1"},
		"private files":             {"echo x >/tmp/x; echo x >/run/x 2>/dev/null; ls -A /tmp /dev/mqueue", "/dev/mqueue:\n\n/tmp:\nx"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := says(t, c.script); got != c.want {
				t.Errorf("%s: got %q, want %q", c.script, got, c.want)
			}
		})
	}
}

// TestTrusted shows that what TestWithin finds hidden is visible to trusted commands.
func TestTrusted(t *testing.T) {
	j, said := job(t, "head -c 4 /proc/1/fd/7 | tail -c 3", true)
	run(t, j)
	if said.String() != "ELF" {
		t.Errorf("the launcher begins with %q", said)
	}
}

func TestIdentity(t *testing.T) {
	idMap := strings.Fields(says(t, "cat /proc/self/uid_map"))
	inside, outside := idMap[0], idMap[1]
	if os.Geteuid() == 0 && (inside != "0" || outside == "0" || idMap[2] != "65536") {
		t.Errorf("root's cage maps %v", idMap)
	}
	if own := fmt.Sprint(os.Getuid()); os.Geteuid() != 0 && (inside != own || outside != own || idMap[2] != "1") {
		t.Errorf("the cage of user %s maps %v", own, idMap)
	}
}

// TestNothingIsLeft runs a command that leaves processes in sessions of their own, then one that does not end.
func TestNothingIsLeft(t *testing.T) {
	const script = "for n in 1 2 3; do setsid sh -c 'while :; do setsid sleep 1000000 & sleep 0.01; done' & done; sleep 0.2"
	says(t, script)
	mustBeAlone(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	j, _ := job(t, "setsid sleep 1000000 & sleep 1000000", false)
	if _, err := cages.Run(ctx, j); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	mustBeAlone(t)
}

// TestGraderKilled kills a process that has made a cage. Control groups, which only a living process can remove, go
// when the next grader starts.
func TestGraderKilled(t *testing.T) {
	if refused != nil {
		t.Skip(refused)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), helperEnv+"=1", "TMPDIR="+temporary)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = stdout.Read(make([]byte, 1))
	must(t, err)
	must(t, cmd.Process.Kill())
	cmd.Wait()
	NewWithT(t).Eventually(harness.Adopted).WithContext(t.Context()).WithTimeout(harness.Stretched(10 * time.Second)).Should(BeEmpty())
	// A group still in use is left to the next grader.
	NewWithT(t).Eventually(func() (left []string) {
		work := filepath.Join(temporary, rand.Text())
		must(t, os.Mkdir(work, 0o755))
		next, err := cage.Open(work, nil, nil)
		must(t, err)
		next.Close()
		for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
			groups, err := filepath.Glob(fmt.Sprintf("%s/daemonlab-grade-%d", hierarchy, cmd.Process.Pid))
			must(t, err)
			_, err = os.Stat(fmt.Sprintf("/proc/%d", cmd.Process.Pid))
			if err != nil { // a process that reuses the PID is taken for the grader
				left = append(left, groups...)
			}
		}
		return left
	}).WithTimeout(harness.Stretched(10 * time.Second)).Should(BeEmpty())
}

func mustBeAlone(t *testing.T) {
	t.Helper()
	left, err := harness.Adopted()
	must(t, err)
	for _, p := range left {
		t.Errorf("left: %d %s", p.Pid, p.Comm)
	}
	stats, err := procfs.New("/proc").Stats()
	must(t, err)
	for _, p := range stats {
		if p.PPid == os.Getpid() && !p.State.Ended() {
			t.Errorf("left: %d %s", p.Pid, p.Comm)
		}
	}
}

// TestFiles moves files into a cage and out again.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	from, packed, result, to := dir+"/from", dir+"/packed", dir+"/result", dir+"/to"
	must(t, errors.Join(os.Mkdir(from, 0o755), os.Mkdir(to, 0o755), os.Mkdir(from+"/sub", 0o500)))
	must(t, os.WriteFile(from+"/odd \xff\n", []byte("odd"), 0o600))
	must(t, os.Symlink("/etc/passwd", from+"/link"))
	must(t, cage.PackFile(packed, from))
	j, said := job(t, "set -e; cat odd*; readlink link; echo made >sub/made; chmod +x sub/made", false)
	j.Files, j.Result = packed, result
	if exit := run(t, j); exit != 0 || said.String() != "odd/etc/passwd\n" {
		t.Errorf("exit status %d: %q", exit, said)
	}
	must(t, cage.UnpackFile(result, to))
	content, err := os.ReadFile(to + "/sub/made")
	must(t, err)
	info, err := os.Lstat(to + "/sub/made")
	must(t, err)
	if string(content) != "made\n" || info.Mode()&0o111 == 0 {
		t.Errorf("came back as %q with mode %v", content, info.Mode())
	}
}

// TestBare runs a job without a cage, which must not leave anything either.
func TestBare(t *testing.T) {
	dir := t.TempDir()
	bare, err := cage.Bare(dir, nil)
	must(t, err)
	result := filepath.Join(t.TempDir(), "result")
	j := cage.Job{
		Command: []string{"/bin/sh", "-c",
			"mkdir dir; : >dir/file; chmod 500 dir; echo made >file; setsid sleep 1000000 & exit 3"},
		Env: cage.Environment(), Result: result,
	}
	exit, err := bare.Run(t.Context(), j)
	must(t, err)
	if info, err := os.Stat(result); err != nil || info.Size() == 0 || exit != 3 {
		t.Errorf("exit status %d; the result: %v", exit, err)
	}
	mustBeAlone(t)
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestTooLargeResult makes results too large for any cage, or with paths too long to name.
func TestTooLargeResult(t *testing.T) {
	for _, script := range []string{
		"truncate -s 400M file",
		"truncate -s 255M file; for n in $(seq 300); do echo >$n; done",
		"name=$(printf %200s x); for n in $(seq 30); do mkdir \"$name\" && cd -P \"$name\" 2>/dev/null || exit; done",
	} {
		j, _ := job(t, script, false)
		j.Result = filepath.Join(t.TempDir(), "result")
		if _, err := cages.Run(t.Context(), j); !errors.Is(err, cage.ErrTooLarge) {
			t.Errorf("%s: got %v", script, err)
		}
	}
}

func TestFixed(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/file", nil, 0o666))
	packed := filepath.Join(t.TempDir(), "packed")
	must(t, cage.PackFile(packed, dir))
	j, said := job(t, "(: >file) 2>/dev/null || rm -f file 2>/dev/null || echo refused", false)
	j.Files, j.Fixed = packed, true
	run(t, j)
	if said.String() != "refused\n" {
		t.Errorf("it said %q", said)
	}
}
