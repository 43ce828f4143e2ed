package main

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv/wire"
)

// fork starts the child for a request. Go cannot fork without exec, so the child is this program once more. It gets the
// request on standard input and the served directory as descriptor 3; its slot is taken by now.
func (s *server) fork(r wire.Request) error {
	in, err := filledPipe(r)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	s.mu.Lock() // the child may end before it is in the table, and be reaped then
	defer s.mu.Unlock()
	pid, err := syscall.ForkExec("/proc/self/exe",
		[]string{"svfiled", "--answer", "--root", "/proc/self/fd/3", "--stall", fmt.Sprint(s.stall.Seconds())},
		&syscall.ProcAttr{
			Env:   os.Environ(),
			Files: []uintptr{uintptr(in), 1, 2, s.dir.Fd()},
			// A process group of its own, so that Ctrl-C ends the server, not the transfers.
			Sys: &syscall.SysProcAttr{Setpgid: true},
		})
	if err != nil {
		return fmt.Errorf("no child process: %w", err)
	}
	s.children[pid] = r
	return nil
}

// filledPipe returns the end for reading of a pipe that holds a request. A pipe has room for far more.
func filledPipe(r wire.Request) (in int, err error) {
	message, err := r.Append(nil)
	if err != nil {
		return -1, err
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return -1, fmt.Errorf("pipe: %w", err)
	}
	_, err = unix.Write(ends[1], message)
	unix.Close(ends[1])
	if err != nil {
		unix.Close(ends[0])
		return -1, fmt.Errorf("pipe: %w", err)
	}
	return ends[0], nil
}

// serves tells whether a child answers to the queue already.
func (s *server) serves(queue int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.children {
		if r.Queue == queue {
			return true
		}
	}
	return false
}

// reap takes in children that have ended. Signals do not queue, so one SIGCHLD can stand for several of them, or for
// one that was taken in before: it asks until there is none, and never waits.
func (s *server) reap(ended <-chan os.Signal) {
	for range ended {
		for s.reapOne() {
		}
	}
}

func (s *server) reapOne() bool {
	var status unix.WaitStatus
	s.mu.Lock()
	pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
	r, ours := s.children[pid]
	delete(s.children, pid)
	s.mu.Unlock()
	if !ours {
		return pid > 0 || err == unix.EINTR
	}
	if !status.Exited() || status.ExitStatus() > statusFailed {
		s.speakFor(pid, r, status)
	}
	<-s.slots
	return true
}

// speakFor tells the client of a child that could not do so itself. There is room for that, see wire.PieceSize.
func (s *server) speakFor(pid int, r wire.Request, status unix.WaitStatus) {
	reason := fmt.Errorf("the server's process %d for it exited with status %d", pid, status.ExitStatus())
	switch {
	case s.stopping():
		reason = errStopping
	case status.Signaled():
		reason = fmt.Errorf("the server's process %d for it was ended by %s", pid, unix.SignalName(status.Signal()))
	}
	logf("failed %q to queue %d: %v", r.Path, r.Queue, refuse(r, reason))
}

// endChildren waits until the children are done, and ends those that are not after the time of grace.
func (s *server) endChildren() {
	killing := time.AfterFunc(grace, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for pid := range s.children {
			unix.Kill(pid, unix.SIGKILL) // not reaped yet, so the PID is still the child's
		}
	})
	defer killing.Stop()
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
}
