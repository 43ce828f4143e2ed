package guide_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"daemonlab/lab/mq"
	"daemonlab/lab/pidfd"
	"daemonlab/lab/procfs"
	"daemonlab/specs/harness"

	"golang.org/x/sys/unix"
)

const (
	pageLimit   = 2 * time.Minute // on a loaded machine; a few seconds else
	pagesAtOnce = 4               // within the queues that a user may have
)

// TestCommandsRunAsWritten gives the commands of each page, in their order, to one shell, in a directory with the
// programs in bin and the project around it. Where a block of output follows, that is what they have to print.
//
// The first line of a block may say what keeps it from running here: `# by hand: ` and why, or `# needs ` a program.
func TestCommandsRunAsWritten(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	bin := build(t)
	slots := make(chan struct{}, pagesAtOnce)
	for _, p := range append(everyPage(t), read(t, "../../README.md")) {
		t.Run(p.path, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			dir := place(t, bin)
			if p.path == "../../README.md" {
				must(t, os.MkdirAll(filepath.Join(dir, "submissions/ana"), 0o755))
			}
			run(t, p, dir)
		})
	}
}

// build makes what the scripts would make, before any page has its time to run.
func build(t *testing.T) string {
	bin := t.TempDir()
	cmd := exec.Command("bash", "-c", ". scripts/lib.sh && build_suite")
	cmd.Dir = place(t, bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build_suite: %v\n%s", err, out)
	}
	return bin
}

// place makes a directory that looks like the project, for any account to reach: the server becomes another one.
func place(t *testing.T, bin string) string {
	dir, err := os.MkdirTemp("", "guide-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Symlink(bin, filepath.Join(dir, "bin")))
	for _, name := range []string{"go.mod", "go.sum", "lab", "server", "client", "specs", "scripts"} {
		target, err := filepath.Abs(filepath.Join("../..", name))
		must(t, err)
		must(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	return dir
}

// command is a block of commands with the output that is expected of it.
type command struct {
	block
	want *block
}

func commands(p page) (all []command) {
	for i, b := range p.blocks {
		if b.language != "sh" {
			continue
		}
		c := command{block: b}
		if i+1 < len(p.blocks) && p.blocks[i+1].language == "text" {
			c.want = &p.blocks[i+1]
		}
		all = append(all, c)
	}
	return all
}

var byHand = regexp.MustCompile(`^# (?:by hand: |a mano: )(.*)`)
var needs = regexp.MustCompile(`^# (?:needs|hace falta) (\S+)$`)

// cannot tells why a block is not run, if it is not.
func (b block) cannot() string {
	if match := byHand.FindStringSubmatch(b.lines[0]); match != nil {
		return match[1]
	}
	if match := needs.FindStringSubmatch(b.lines[0]); match != nil {
		if _, err := exec.LookPath(match[1]); err != nil {
			return err.Error()
		}
	}
	return ""
}

func run(t *testing.T, p page, dir string) {
	outputs := t.TempDir()
	var script strings.Builder
	var ran []command
	for _, c := range commands(p) {
		if why := c.cannot(); why != "" {
			t.Logf("%s:%d: skipped: %s", p.path, c.line, why)
			continue
		}
		lines := strings.Join(c.lines, "\n")
		if c.want != nil { // which may be of a program that fails
			lines = "{ " + lines + "\n} || true"
		}
		fmt.Fprintf(&script, "exec >%s/%d 2>&1\n%s\n", outputs, len(ran), lines)
		ran = append(ran, c)
	}
	if len(ran) == 0 {
		return
	}
	err := shell(t, dir, script.String())
	for i, c := range ran {
		out, readErr := os.ReadFile(filepath.Join(outputs, strconv.Itoa(i)))
		if readErr != nil {
			t.Errorf("%s:%d: the commands before it have failed: %v", p.path, c.line, err)
			return
		}
		if _, next := os.Stat(filepath.Join(outputs, strconv.Itoa(i+1))); next != nil && err != nil {
			t.Errorf("%s:%d: %v\n%s", p.path, c.line, err, out)
		}
		if c.want != nil && !c.want.pattern().Match(words(out)) {
			t.Errorf("%s:%d: the output is\n%s\nand not\n%s", p.path, c.line, out, strings.Join(c.want.lines, "\n"))
		}
	}
}

// shell runs a script and ends what it has left.
func shell(t *testing.T, dir, script string) error {
	ctx, cancel := harness.WithTimeout(t.Context(), pageLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-c", "umask 022\n"+script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "PWD="+dir)
	cmd.WaitDelay = time.Second
	must(t, cmd.Start())
	queue := fmt.Sprintf("/try-%d", cmd.Process.Pid) // as $$ in the guide
	err := cmd.Wait()
	stopServers(t, queue)
	mq.Unlink(queue)
	return err
}

// stopServers ends the servers whose queue's name begins so, by SIGTERM: then they remove it.
func stopServers(t *testing.T, queue string) {
	stats, err := procfs.New("/proc").Stats()
	must(t, err)
	for _, s := range stats {
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.Pid))
		if !bytes.Contains(args, []byte("\x00--queue\x00"+queue)) {
			continue
		}
		p, err := pidfd.Open(s.Pid)
		if err != nil {
			continue // ended meanwhile
		}
		p.Signal(unix.SIGTERM)
		t.Logf("PID %d was left", s.Pid)
		p.Close()
	}
}

// pattern is what matches the output: … is any text, and a line of nothing else any lines.
func (b block) pattern() *regexp.Regexp {
	var p strings.Builder
	for _, l := range b.lines {
		if strings.TrimSpace(l) == "…" {
			p.WriteString(`(?:.*\n)*`)
			continue
		}
		p.WriteString(strings.ReplaceAll(regexp.QuoteMeta(string(words([]byte(l)))), "…", ".*") + `\n`)
	}
	return regexp.MustCompile(`\A` + p.String() + `\z`)
}

var blanks = regexp.MustCompile(`[ \t]+`)

// words makes one space of many, which commands put in to line up columns.
func words(text []byte) []byte {
	lines := bytes.Split(text, []byte("\n"))
	for i := range lines {
		lines[i] = bytes.TrimSpace(blanks.ReplaceAll(lines[i], []byte(" ")))
	}
	return bytes.Join(lines, []byte("\n"))
}
