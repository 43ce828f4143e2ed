package cage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/tool"
	"daemonlab/specs/harness"
)

// Share is a directory of the machine that a cage sees.
type Share struct {
	From, To string // To is absolute, as the cage sees it
	Over     bool   // writable, through a layer that is dropped with the cage
}

// Job is what one cage runs.
type Job struct {
	Command []string // the program is a path inside the cage
	Env     []string
	Trusted bool      // the judge itself: keeps the capabilities that confined commands lack
	Files   string    // archive of [PackFile], unpacked as the submission
	Fixed   bool      // Files are read-only
	Result  string    // receives the submission as an archive at the end; optional
	Build   bool      // the shared directories are visible
	Stdout  io.Writer `json:"-"`
	Stderr  io.Writer `json:"-"`
}

const inSubmission = "/submission"

// Tool returns the path of a tool in a cage. Only trusted processes can follow it.
func (c *Cages) Tool(i int) string {
	if c.bare {
		return c.tools[i].Name()
	}
	return fmt.Sprintf("/proc/1/fd/%d", firstTool+i)
}

var confine = []string{"--confine", "--rlimit", fmt.Sprintf("nproc=%d:%[1]d,data=%d:%[2]d", maxProcesses, maxData)}

// Cages makes cages.
type Cages struct {
	work   string
	shares []Share
	tools  []*os.File
	users  identities
	starts chan start
	groups groups
	bare   bool // runs jobs without cages
}

// Open prepares to make cages. The directory must exist, be empty, and be reachable for every user. The tools are
// executables for trusted processes.
func Open(work string, shares []Share, tools []*os.File) (*Cages, error) {
	work, err := filepath.Abs(work)
	if err != nil {
		return nil, err
	}
	c := &Cages{work: work, shares: shares, tools: tools, users: newIdentities(), starts: make(chan start)}
	if err := c.reachableForAll(); err != nil {
		return nil, err
	}
	for _, dir := range []string{c.root(), c.private()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if err := tool.CopyProgram("/proc/self/exe", c.program()); err != nil {
		return nil, err
	}
	ready := make(chan error)
	go c.spawner(ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	c.groups = openGroups()
	if err := c.probe(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// reachableForAll checks that the users of cages, which are unprivileged outside, can enter the directory.
func (c *Cages) reachableForAll() error {
	if !c.Root() {
		return nil
	}
	for dir := c.work; dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("make a cage in %s: not every user may enter %s; set TMPDIR to a directory such as /tmp",
				c.work, dir)
		}
	}
	return nil
}

// Close releases what Open acquired. No cage may be running.
func (c *Cages) Close() {
	if c.bare {
		return
	}
	close(c.starts)
	c.groups.remove()
}

// Root reports whether root of the submission is a separate account outside, so that dropping privileges can be judged.
func (c *Cages) Root() bool {
	return c.users.size > 1
}

// Apart reports whether each cage has a user's limits to itself.
func (c *Cages) Apart() bool {
	return !c.users.shared
}

// MemoryLimited reports whether memory is limited per cage, and not only per process.
func (c *Cages) MemoryLimited() bool {
	return c.groups.limitMemory()
}

func (c *Cages) root() string    { return filepath.Join(c.work, "root") }
func (c *Cages) private() string { return filepath.Join(c.work, "shares") }
func (c *Cages) program() string { return filepath.Join(c.work, "cage") }

// probe tests whether this machine lets us make cages.
func (c *Cages) probe() error {
	var said bytes.Buffer
	ctx, cancel := harness.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	exit, err := c.Run(ctx, Job{Command: []string{"/bin/true"}, Stdout: &said, Stderr: &said})
	if err == nil && exit != 0 {
		err = fmt.Errorf("/bin/true in a cage exited with %d: %s", exit, said.String())
	}
	return err
}

// Run runs a job in a cage of its own and returns its command's exit status, or 128 plus the signal. When it returns
// nothing of the cage is left. An error is ctx's, or the cage's own.
func (c *Cages) Run(ctx context.Context, job Job) (exit int, err error) {
	if c.bare {
		return c.runBare(ctx, job)
	}
	life, keep, lifeErr := os.Pipe() // EOF on life ends the cage
	report, reporter, reportErr := os.Pipe()
	in, inErr := os.Open(cmp.Or(job.Files, os.DevNull))
	out, outErr := os.OpenFile(cmp.Or(job.Result, os.DevNull), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	for _, file := range []*os.File{life, keep, report, reporter, in, out} {
		defer file.Close()
	}
	if err := cmp.Or(lifeErr, reportErr, inErr, outErr); err != nil {
		return 0, err
	}
	slot, err := c.users.take(ctx)
	if err != nil {
		return 0, err
	}
	defer c.users.give(slot)
	group, err := c.groups.make(slot)
	if err != nil {
		return 0, err
	}
	defer group.remove()
	cmd := exec.CommandContext(ctx, c.program())
	cmd.Args = []string{initName}
	cmd.Env = []string{} // hide the grader's
	cmd.Stdout, cmd.Stderr = job.Stdout, job.Stderr
	cmd.ExtraFiles = append([]*os.File{life, reporter, in, out}, c.tools...)
	cmd.SysProcAttr = c.users.attributes(slot)
	if err := c.start(cmd, slot); err != nil {
		return 0, fmt.Errorf("make a cage: %w", explain(err))
	}
	err = errors.Join(group.add(cmd.Process.Pid), json.NewEncoder(keep).Encode(c.orders(job)))
	if err != nil {
		cmd.Process.Kill()
	}
	reporter.Close()
	said, readErr := io.ReadAll(report)
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case errors.Join(err, readErr) != nil:
		return 0, errors.Join(err, readErr)
	}
	return outcome(said, waitErr)
}

// outcome decodes the report of the cage's first process.
func outcome(said []byte, waitErr error) (int, error) {
	var r result
	if err := json.Unmarshal(said, &r); err != nil {
		return 0, fmt.Errorf("the cage ended before its command: %v", waitErr)
	}
	switch {
	case r.TooLarge:
		return 0, ErrTooLarge
	case r.Error != "":
		return 0, fmt.Errorf("cage: %s", r.Error)
	}
	return r.Exit, nil
}

func (c *Cages) orders(job Job) orders {
	o := orders{Job: job, Root: c.root(), UID: c.users.inside(), Mapped: c.Root()}
	if job.Build {
		for i, s := range c.shares {
			o.Shares = append(o.Shares, Share{From: c.reachable(i), To: s.To, Over: s.Over})
		}
	}
	return o
}

// explain adds advice to the errors of clone(2).
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: root here cannot assign other users' IDs, as in many containers", err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		return fmt.Errorf("%w: does this machine let you create user namespaces? See user_namespaces(7)", err)
	}
	return err
}

// Path is PATH in a cage.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Environment returns the environment of a command in a cage, plus more.
func Environment(more ...string) []string {
	return append([]string{"PATH=" + Path, "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"}, more...)
}

// start asks the spawner's thread to start a process in its mount namespace.
type start struct {
	cmd  *exec.Cmd
	slot int
	done chan error
}

// spawner starts cages. For root it does so in a mount namespace of its own: the shared directories may lie where only
// root can reach them, so they are bind-mounted where everybody can. An ordinary user reaches its own anyway.
//
// The goroutine never unlocks its thread, so the thread ends with it, and with the thread its mounts.
func (c *Cages) spawner(ready chan<- error) {
	runtime.LockOSThread()
	err := c.prepare()
	ready <- err
	if err != nil {
		return
	}
	for s := range c.starts {
		err := c.users.become(s.slot)
		if err == nil {
			err = s.cmd.Start()
		}
		s.done <- err
	}
}

func (c *Cages) prepare() error {
	if !c.Root() {
		return nil
	}
	if err := keepCapabilities(); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount / private: %w", err)
	}
	for i, s := range c.shares {
		dir := c.reachable(i)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(s.From, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s: %w", s.From, err)
		}
	}
	return nil
}

// reachable returns the path by which cages reach a shared directory.
func (c *Cages) reachable(i int) string {
	if !c.Root() {
		return c.shares[i].From
	}
	return filepath.Join(c.private(), strconv.Itoa(i))
}

func (c *Cages) start(cmd *exec.Cmd, slot int) error {
	s := start{cmd, slot, make(chan error)}
	c.starts <- s
	return <-s.done
}
