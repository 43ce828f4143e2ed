// Package ptrace follows a command and all its descendants with ptrace(2) and reports the system calls that matter. It
// knows processes and system calls, not daemons.
//
// A traced program runs as it would alone: processes keep their parents, and orphans go to the same reaper. Two things
// differ: it is slower, and stop signals do not stop it.
package ptrace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/trace/event"
)

// options follow every child and thread, mark syscall stops, and kill everything if this process dies.
const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
	unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL

var proc = procfs.New("/proc")

// Tracer is one trace.
type Tracer struct {
	observe func(*event.Event)
	root    int // PID of the command
	threads map[int]*thread
	early   map[int]bool // stopped before the event of their creation was seen

	mu     sync.Mutex
	living map[int]int // parents by PID, of processes not yet reaped
	begin  time.Time   // zero until the command itself runs
}

type thread struct {
	tid, pid int
	started  bool         // past its first stop
	call     *event.Event // system call in progress
	exit     func(process, *event.Event)
}

// New returns a tracer that passes every event to observe, while the event's thread is stopped.
func New(observe func(*event.Event)) *Tracer {
	return &Tracer{observe: observe, threads: map[int]*thread{}, early: map[int]bool{}, living: map[int]int{}}
}

// ErrDenied means that ptrace(2) is not permitted here.
var ErrDenied = errors.New("ptrace is denied here: by /proc/sys/kernel/yama/ptrace_scope (2 or 3), or by the seccomp " +
	"filter of a container")

// ErrTraced means that another tracer follows this program and its children.
var ErrTraced = errors.New("something traces this already, so ptrace(2) is not to be had: run it without that")

// Run starts the command and follows it until nothing of it is left. cmd runs a program that executes the real one;
// events begin with that exec. The caller must not wait for cmd.
func (t *Tracer) Run(cmd *exec.Cmd) error {
	// The thread that starts a process with PTRACE_TRACEME is its tracer.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Ptrace = true
	if err := cmd.Start(); err != nil {
		return denied(err)
	}
	t.root = cmd.Process.Pid
	cmd.Process.Release()
	return t.follow()
}

// denied explains why ptrace(2) is not permitted: a thread has at most one tracer.
func denied(err error) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	status, _ := proc.Process(os.Getpid()).Status()
	if status.TracerPid == 0 {
		return fmt.Errorf("%w (%w)", ErrDenied, err)
	}
	tracer, _ := proc.Process(status.TracerPid).Status()
	return fmt.Errorf("%w: PID %d (%q)", ErrTraced, status.TracerPid, tracer.Name)
}

// follow waits only for this thread's tracees: other goroutines may have children of their own.
func (t *Tracer) follow() error {
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECHILD:
			return nil
		case err != nil:
			return fmt.Errorf("wait4: %w", err)
		}
		if err := t.handle(tid, status); err != nil && !errors.Is(err, unix.ESRCH) { // killed meanwhile: its end will be reported
			t.Kill()
			return err
		}
	}
}

func (t *Tracer) handle(tid int, status unix.WaitStatus) error {
	if !status.Stopped() {
		t.ended(tid, status)
		return nil
	}
	th := t.threads[tid]
	switch {
	case th == nil && len(t.living) == 0:
		return t.first(tid)
	case th == nil:
		t.early[tid] = true // stays stopped until its parent reports it
		return nil
	case status.StopSignal() == unix.SIGTRAP|0x80:
		return errors.Join(t.atCall(th), unix.PtraceSyscall(tid, 0))
	case status.TrapCause() > 0:
		return errors.Join(t.atEvent(th, status.TrapCause()), unix.PtraceSyscall(tid, 0))
	case !th.started && status.StopSignal() == unix.SIGSTOP:
		th.started = true
		return unix.PtraceSyscall(tid, 0)
	}
	return unix.PtraceSyscall(tid, int(status.StopSignal()))
}

// first is the stop at the exec of the started program.
func (t *Tracer) first(tid int) error {
	if err := unix.PtraceSetOptions(tid, options); err != nil {
		return fmt.Errorf("PTRACE_SETOPTIONS: %w", err)
	}
	t.add(tid, tid, os.Getpid()).started = true
	return unix.PtraceSyscall(tid, 0)
}

func (t *Tracer) add(tid, pid, parent int) *thread {
	th := &thread{tid: tid, pid: pid}
	t.threads[tid] = th
	if tid == pid {
		t.mu.Lock()
		t.living[pid] = parent
		t.mu.Unlock()
	}
	return th
}

func (t *Tracer) atEvent(th *thread, cause int) error {
	switch cause {
	case unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK, unix.PTRACE_EVENT_CLONE:
		child, err := unix.PtraceGetEventMsg(th.tid)
		if err != nil {
			return err
		}
		return t.born(th, int(child), cause)
	case unix.PTRACE_EVENT_EXEC:
		t.executed(th)
	}
	return nil
}

// born releases a new thread or process at its first stop, which it may not have reached yet.
func (t *Tracer) born(parent *thread, tid, cause int) error {
	status, err := proc.Process(tid).Status()
	if procfs.Gone(err) {
		return nil // killed at once
	}
	if err != nil {
		return err
	}
	child := t.add(tid, status.Tgid, parent.pid)
	if tid == child.pid {
		name := "fork"
		if cause == unix.PTRACE_EVENT_VFORK {
			name = "vfork"
		}
		t.tell(parent, &event.Event{Kind: event.Born, Name: name, Result: int64(tid)})
	}
	if t.early[tid] {
		delete(t.early, tid)
		child.started = true
		return unix.PtraceSyscall(tid, 0)
	}
	return nil
}

// executed is reported by the thread that survives the exec, under the process's PID (ptrace(2)).
func (t *Tracer) executed(th *thread) {
	for tid, other := range t.threads {
		if other.pid == th.pid && other != th {
			delete(t.threads, tid)
		}
	}
	th.call = nil
	if th.pid == t.root && t.begin.IsZero() {
		t.mu.Lock()
		t.begin = time.Now()
		t.mu.Unlock()
	}
	p := proc.Process(th.pid)
	path, _ := p.Exe()
	env, _ := p.Environ()
	t.tell(th, &event.Event{Kind: event.Executed, Path: path, Env: env})
}

// atCall is a stop at entry to or exit from the kernel.
func (t *Tracer) atCall(th *thread) error {
	info, err := getCallInfo(th.tid)
	if err != nil {
		return err
	}
	switch info.op {
	case atEntry:
		th.enter(info, t.Now())
	case atExit:
		t.leave(th, int64(info.data[0]))
	}
	return nil
}

func (th *thread) enter(info callInfo, now time.Duration) {
	d, matters := calls[info.data[0]]
	if !matters {
		th.call = nil
		return
	}
	e := &event.Event{Kind: event.Call, Began: now, PID: th.pid, TID: th.tid, Name: d.name}
	copy(e.Args[:], info.data[1:])
	th.call, th.exit = e, d.exit
	if d.enter != nil {
		d.enter(process(th.tid), e)
	}
}

// The kernel's internal results for a call that is restarted after a signal: ERESTARTSYS and the like.
const (
	firstRestart = -516
	lastRestart  = -512
)

func (t *Tracer) leave(th *thread, result int64) {
	e := th.call
	th.call = nil
	if e == nil || e.Name == "" {
		return
	}
	e.Result = result
	if result >= firstRestart && result <= lastRestart {
		e.Result, e.Cut = -int64(unix.EINTR), true
	}
	if th.exit != nil && !e.Cut {
		th.exit(process(th.tid), e)
	}
	t.tell(th, e)
}

func (t *Tracer) ended(tid int, status unix.WaitStatus) {
	delete(t.early, tid)
	th := t.threads[tid]
	if th == nil {
		return // ended by another thread's exec
	}
	delete(t.threads, tid)
	if e := th.call; e != nil && e.Name != "" {
		e.Result, e.Cut = -int64(unix.EINTR), true
		t.tell(th, e)
	}
	if tid != th.pid {
		return
	}
	t.tell(th, &event.Event{Kind: event.Ended, Result: int64(status)})
	t.mu.Lock()
	delete(t.living, tid)
	t.mu.Unlock()
	t.adopted(tid)
}

// adopted reports the new parents of a process's children.
func (t *Tracer) adopted(parent int) {
	for pid, before := range t.living {
		if before != parent {
			continue
		}
		stat, err := proc.Process(pid).Stat()
		if err != nil || t.threads[pid] == nil {
			continue
		}
		adopter, _ := proc.Process(stat.PPid).Stat()
		t.mu.Lock()
		t.living[pid] = stat.PPid
		t.mu.Unlock()
		t.tell(t.threads[pid], &event.Event{Kind: event.Adopted, Result: int64(stat.PPid), Path: adopter.Comm})
	}
}

// tell passes an event on, once the command itself runs.
func (t *Tracer) tell(th *thread, e *event.Event) {
	if t.begin.IsZero() {
		return
	}
	e.At, e.PID, e.TID = t.Now(), th.pid, th.tid
	t.observe(e)
}

// Now returns the time on the trace's clock.
func (t *Tracer) Now() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.begin.IsZero() {
		return 0
	}
	return time.Since(t.begin)
}

// Living returns the processes that have not ended.
func (t *Tracer) Living() (pids []int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for pid := range t.living {
		pids = append(pids, pid)
	}
	return pids
}

// Signal sends a signal to a process if it has not ended. Its PID cannot have been reused: the tracer has not reaped
// it.
func (t *Tracer) Signal(pid int, sig unix.Signal) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, lives := t.living[pid]; !lives {
		return unix.ESRCH
	}
	return unix.Kill(pid, sig)
}

// Kill kills all that is left.
func (t *Tracer) Kill() {
	for _, pid := range t.Living() {
		t.Signal(pid, unix.SIGKILL)
	}
}
