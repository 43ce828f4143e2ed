package cage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/tool"
	"daemonlab/specs/harness"
)

// Bare returns a runner of jobs without cages, in directories below work, for machines that allow none and for
// submissions that are trusted.
func Bare(work string, tools []*os.File) (*Cages, error) {
	return &Cages{work: work, tools: tools, bare: true}, harness.AdoptOrphans()
}

// Submission returns the path of the submission as a job sees it.
func (c *Cages) Submission() string {
	if c.bare {
		return filepath.Join(c.work, "submission")
	}
	return inSubmission
}

// Confine returns the launcher's options that make what it starts untrusted.
func (c *Cages) Confine() []string {
	if c.bare {
		return nil
	}
	return confine
}

// runBare runs a job. Jobs must not overlap: only that tells whose the orphans are.
func (c *Cages) runBare(ctx context.Context, job Job) (exit int, err error) {
	dir := c.Submission()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return 0, err
	}
	defer removeAll(dir)
	if job.Files != "" {
		if err := UnpackFile(job.Files, dir); err != nil {
			return 0, err
		}
	}
	cmd := exec.CommandContext(ctx, job.Command[0], job.Command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, job.Env, job.Stdout, job.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	if killErr := harness.KillAdopted(); killErr != nil {
		return 0, killErr
	}
	var ended *exec.ExitError
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil && !errors.As(err, &ended) && !errors.Is(err, exec.ErrWaitDelay) {
		return 0, err
	}
	exit = tool.ExitStatus(cmd.ProcessState)
	if job.Result == "" {
		return exit, nil
	}
	return exit, PackFile(job.Result, dir)
}

// removeAll removes a directory even if a submission made parts of it read-only.
func removeAll(dir string) {
	filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}
