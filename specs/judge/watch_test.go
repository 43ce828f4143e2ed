package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"golang.org/x/sys/unix"

	"daemonlab/specs/broken"
	"daemonlab/specs/check"
	"daemonlab/specs/harness"
)

var must = check.Must

// suite is a directory with the judge and what it needs, and the reference.
var suite = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "judge-test-"); err != nil {
		return "", err
	}
	_, err = broken.BuildSuite(context.Background(), filepath.Join("..", ".."), dir)
	return dir, err
})

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, _ := suite(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

// watched is a judge that watches programs in a directory.
type watched struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string // of the programs, initially false(1)
	tmp  string // for the judge's temporary files
	said *gbytes.Buffer
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	bin, err := suite()
	must(t, err)
	w := &watched{t: t, dir: filepath.Join(t.TempDir(), "bin"), tmp: check.Room(t), said: gbytes.NewBuffer()}
	must(t, os.Mkdir(w.dir, 0o755))
	w.put("mqfiled", "/bin/false")
	w.put("mqfile", "/bin/false")
	w.cmd = exec.Command(filepath.Join(bin, "judge"), "--watch", "--id", "umask", "--id", "cwd",
		"--server", filepath.Join(w.dir, "mqfiled"), "--client", filepath.Join(w.dir, "mqfile"))
	w.cmd.Env = append(os.Environ(), "TMPDIR="+w.tmp)
	t.Cleanup(func() {
		if w.cmd.ProcessState == nil && w.cmd.Process != nil {
			w.cmd.Process.Kill()
			w.cmd.Wait()
		}
	})
	return w
}

// put installs a program as go build does: written beside it, then renamed.
func (w *watched) put(name, from string) {
	w.t.Helper()
	content, err := os.ReadFile(from)
	must(w.t, err)
	must(w.t, os.WriteFile(filepath.Join(w.dir, "new"), content, 0o755))
	must(w.t, os.Rename(filepath.Join(w.dir, "new"), filepath.Join(w.dir, name)))
}

// sees waits until the output contains the texts, in order, and drops it up to there.
func (w *watched) sees(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		NewWithT(w.t).Eventually(w.said).WithTimeout(harness.Stretched(2 * time.Minute)).
			Should(gbytes.Say(regexp.QuoteMeta(text)))
	}
}

// mustEnd checks that the judge ends with the status and leaves nothing.
func (w *watched) mustEnd(status int) {
	w.t.Helper()
	w.cmd.Wait()
	if w.cmd.ProcessState.ExitCode() != status {
		w.t.Errorf("exit status %d, not %d", w.cmd.ProcessState.ExitCode(), status)
	}
	left, err := os.ReadDir(w.tmp)
	if err != nil || len(left) > 0 {
		w.t.Errorf("left: %v, error: %v", left, err)
	}
}

func TestWatchTurnsGreenOnATerminalAndGivesItBack(t *testing.T) {
	w := newWatched(t)
	master, terminal, err := harness.OpenTerminal()
	must(t, err)
	defer master.Close()
	w.cmd.Args = append(w.cmd.Args, "--jobs", "1")
	w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr = terminal, terminal, terminal
	w.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	must(t, w.cmd.Start())
	terminal.Close()
	go io.Copy(w.said, master)
	w.sees(enterScreen, "waiting for the next build", red+"✗ umask", "the original process returned 1")
	bin, _ := suite()
	w.put("mqfiled", filepath.Join(bin, "mqfiled"))
	w.sees("4 of 4 points   everything passes", green+"✓ umask", green+"✓ cwd")
	w.put("mqfiled", "/bin/false")
	w.sees(grey+"· cwd", red+"✗ umask", red+"✗ cwd", "waiting for the next build")
	w.put("mqfiled", filepath.Join(bin, "mqfiled"))
	w.sees("4 of 4 points   everything passes")
	_, err = master.WriteString("\x03") // Ctrl-C
	must(t, err)
	w.sees(leaveScreen, "4 of 4 points")
	w.mustEnd(exitPassed)
}

func TestWatchWritesALineForEachChangeWhereThereIsNoTerminal(t *testing.T) {
	w := newWatched(t)
	w.cmd.Stdout = w.said
	must(t, w.cmd.Start())
	w.sees("FAILED", "0 of 4 points; waiting for the next build\n")
	bin, _ := suite()
	must(t, os.RemoveAll(w.dir))
	w.sees("waiting for the programs")
	must(t, os.Mkdir(w.dir, 0o755))
	w.put("mqfile", "/bin/false")
	w.put("mqfiled", filepath.Join(bin, "mqfiled"))
	w.sees("ok ", "ok ", "4 of 4 points; everything passes\n")
	w.put("mqfiled", "/bin/false")
	w.sees("FAILED", "FAILED", "0 of 4 points")
	must(t, w.cmd.Process.Signal(unix.SIGTERM))
	w.mustEnd(exitFailed)
}

func TestAProgramThatIsBeingWrittenHasNotChangedYet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "program")
	must(t, os.WriteFile(file, []byte("old"), 0o755))
	programs := finder(func() []string { return []string{file} })
	seen, _ := programs.look()
	writer, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	must(t, err)
	_, err = writer.WriteString("half ")
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 4*quiet)
	defer cancel()
	if err := programs.await(ctx, seen); err == nil {
		t.Error("half a program was taken for a whole one")
	}
	_, err = writer.WriteString("and whole")
	must(t, err)
	must(t, writer.Close())
	must(t, programs.await(t.Context(), seen))
	if now, whole := programs.look(); !whole || slices.Equal(now, seen) || now[0].size != int64(len("half and whole")) {
		t.Errorf("it looks like %+v", now)
	}
}

func TestWatchBuildsWhatHasChanged(t *testing.T) {
	w := newWatched(t)
	bin, err := suite()
	must(t, err)
	sources := t.TempDir()
	main := filepath.Join(sources, "main.c")
	must(t, os.WriteFile(main, []byte("broken"), 0o644))
	w.cmd.Args = append(w.cmd.Args, "--sources", sources,
		"--build", "! grep -H broken main.c && cp "+bin+"/mqfiled "+w.dir+"/new && mv "+w.dir+"/new "+w.dir+"/mqfiled")
	w.cmd.Stdout = w.said
	must(t, w.cmd.Start())
	w.sees("0 of 4 points; waiting for the next build\n")
	must(t, os.WriteFile(main, []byte("still broken"), 0o644))
	w.sees("main.c:still broken\n")
	must(t, os.WriteFile(main, []byte("whole"), 0o644))
	w.sees("4 of 4 points; everything passes\n")
	must(t, w.cmd.Process.Signal(unix.SIGTERM))
	w.mustEnd(exitPassed)
}
