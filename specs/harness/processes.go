package harness

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/pidfd"
	"daemonlab/lab/procfs"
)

var proc = procfs.New("/proc")

// AdoptOrphans makes this process a subreaper, prctl(2).
func AdoptOrphans() error {
	return os.NewSyscallError("prctl PR_SET_CHILD_SUBREAPER", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// own are the children that the suite itself starts and waits for.
var own = struct {
	sync.Mutex
	pids map[int]bool
}{pids: map[int]bool{}}

// startOwn starts a child of the suite. A concurrent search for leftovers sees it as such or not at all.
func startOwn(cmd *exec.Cmd) error {
	own.Lock()
	defer own.Unlock()
	err := cmd.Start()
	if err == nil {
		own.pids[cmd.Process.Pid] = true
	}
	return err
}

// waitForOwn waits until a child of the suite has ended.
func waitForOwn(cmd *exec.Cmd) error {
	err := cmd.Wait()
	own.Lock()
	defer own.Unlock()
	delete(own.pids, cmd.Process.Pid)
	return err
}

// Adopted lists the living processes that a program under test has left: adopted children of the suite and their
// descendants, parents first. It reaps zombies among the adopted.
func Adopted() ([]procfs.Stat, error) {
	living, ended, err := adopted()
	for _, s := range ended {
		reap(s.Pid)
	}
	return living, err
}

func adopted() (living, ended []procfs.Stat, err error) {
	if unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == unix.ECHILD {
		return nil, nil, nil // one call instead of a walk through /proc
	}
	own.Lock()
	defer own.Unlock()
	stats, err := proc.Stats()
	if err != nil {
		return nil, nil, err
	}
	children := map[int][]procfs.Stat{}
	for _, s := range stats {
		children[s.PPid] = append(children[s.PPid], s)
	}
	var descend func(pid int)
	descend = func(pid int) {
		for _, s := range children[pid] {
			switch {
			case own.pids[s.Pid]:
			case s.State.Ended() && (pid != os.Getpid() || waitable(s.Pid)):
				if pid == os.Getpid() {
					ended = append(ended, s)
				}
			default:
				living = append(living, s)
				descend(s.Pid)
			}
		}
	}
	descend(os.Getpid())
	return living, ended, nil
}

// waitable reports whether a child can be reaped. The state in /proc is its first thread's, which can end before the
// others: a PID namespace's first process then shows as a zombie while the others are still being killed.
func waitable(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err != nil || info.Signo != 0
}

func reap(pid int) { wait4(pid, unix.WNOHANG) }

// wait4 records a process's wait status, if it has ended.
func wait4(pid, options int) (status unix.WaitStatus, err error) {
	for {
		reaped, err := unix.Wait4(pid, &status, options, nil)
		if reaped == pid && err == nil {
			endings.Store(pid, status)
		}
		if err != unix.EINTR {
			return status, err
		}
	}
}

// KillAdopted kills whatever programs under test have left, until nothing remains.
func KillAdopted() error {
	for deadline := Now() + 10*time.Second; Now() < deadline; {
		living, ended, err := adopted()
		if err != nil || len(living)+len(ended) == 0 {
			return err
		}
		// A process that forks faster than /proc can be read is found through its group's dead processes.
		for _, s := range append(ended, living...) {
			killGroup(s)
		}
		for _, s := range living {
			killAndWait(s.Pid)
		}
		for _, s := range ended {
			reap(s.Pid)
		}
	}
	return errors.New("processes of the program under test keep appearing")
}

// killGroup kills a process's group, which no member can escape by forking at that moment. A group lies within one
// session. One outside the suite's session was made by the program under test or a descendant; in the suite's own
// session it may contain strangers.
func killGroup(s procfs.Stat) {
	session, err := unix.Getsid(0)
	if err == nil && s.Session != session && s.Pgrp > 1 {
		unix.Kill(-s.Pgrp, unix.SIGKILL)
	}
}

func killAndWait(pid int) {
	p, err := pidfd.Open(pid)
	if err != nil {
		return
	}
	defer p.Close()
	p.Signal(unix.SIGKILL)
	ctx, cancel := WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	p.Wait(ctx)
	reap(pid)
}

// CombinedOutput runs a command of the suite, which must not count as left by a program.
func CombinedOutput(cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := startOwn(cmd); err != nil {
		return nil, err
	}
	err := waitForOwn(cmd)
	return out.Bytes(), err
}
