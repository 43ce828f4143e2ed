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

// Share is a directory of the machine that is seen in a cage.
type Share struct {
	From, To string // To is absolute, as the cage sees it
	Over     bool   // the cage may write there, into a layer of its own that ends with it
}

// Job is what one cage is for.
type Job struct {
	Command []string // the first is a path as the cage sees it
	Env     []string
	Trusted bool      // the command is the judge's own: it keeps the capabilities that the confined ones lack
	Files   string    // archive of [PackFile], unpacked where the submission is
	Fixed   bool      // these files cannot be changed
	Result  string    // file that receives the submission as an archive at the end; none if empty
	Build   bool      // the shared directories are seen
	Stdout  io.Writer `json:"-"`
	Stderr  io.Writer `json:"-"`
}

// inSubmission is where a cage has the submission.
const inSubmission = "/submission"

// Tool is the path of a tool in a cage. Only trusted processes can follow it.
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
	bare   bool // it makes none
}

// Open prepares to make cages. Its directory must exist, be empty, and reachable for every user. The tools are
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

// reachableForAll makes sure that the users of cages, who are strangers to root, can enter the directory.
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
			return fmt.Errorf("make a cage in %s: not every user may enter %s; set TMPDIR to a directory like /tmp", c.work, dir)
		}
	}
	return nil
}

// Close gives back what Open has taken. No cage may be left.
func (c *Cages) Close() {
	if c.bare {
		return
	}
	close(c.starts)
	c.groups.remove()
}

// Root reports whether the submission's root is an account of its own outside, so that privileges can be judged.
func (c *Cages) Root() bool {
	return c.users.size > 1
}

// Apart reports whether each cage has the limits of a user to itself.
func (c *Cages) Apart() bool {
	return !c.users.shared
}

// MemoryLimited reports whether what a cage takes is limited as a whole, and not only each process of it.
func (c *Cages) MemoryLimited() bool {
	return c.groups.limitMemory()
}

func (c *Cages) root() string    { return filepath.Join(c.work, "root") }
func (c *Cages) private() string { return filepath.Join(c.work, "shares") }
func (c *Cages) program() string { return filepath.Join(c.work, "cage") }

// probe finds out whether this machine lets us make cages.
func (c *Cages) probe() error {
	var said bytes.Buffer
	ctx, cancel := harness.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	exit, err := c.Run(ctx, Job{Command: []string{"/bin/true"}, Stdout: &said, Stderr: &said})
	if err == nil && exit != 0 {
		err = fmt.Errorf("/bin/true in a cage ended with %d: %s", exit, said.String())
	}
	return err
}

// Run runs a job in a cage of its own and returns how its command has ended: the status, or 128 and the signal's number.
// When it returns nothing of the cage is left. An error is ctx's, or the cage's own.
func (c *Cages) Run(ctx context.Context, job Job) (exit int, err error) {
	if c.bare {
		return c.runBare(ctx, job)
	}
	life, keep, lifeErr := os.Pipe() // a cage ends when nobody holds its life
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
	cmd.Env = []string{} // not the grader's
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

// outcome reads what the cage's first process has said.
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

// explain adds what a person can do to the errors of clone(2).
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: this root has no other users' identities to give, as in many containers", err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		return fmt.Errorf("%w: does this machine allow you user namespaces? See user_namespaces(7)", err)
	}
	return err
}

// Path is where a command of the name is found in a cage.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Environment is that of a command in a cage, with more variables.
func Environment(more ...string) []string {
	return append([]string{"PATH=" + Path, "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"}, more...)
}

// start is a process to be started by the thread whose mount namespace the cages begin with.
type start struct {
	cmd  *exec.Cmd
	slot int
	done chan error
}

// spawner starts cages. Root's do it in a mount namespace of its own: the directories that the cages share may lie where
// only root can reach them, so they are mounted where everybody can. An ordinary user reaches all its own anyhow.
//
// The goroutine never unlocks its thread, which so ends with it, and the mounts with the thread.
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

// reachable is where the cages reach a shared directory.
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
