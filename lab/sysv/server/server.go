package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// grace is how long children may go on after SIGTERM.
const grace = 5 * time.Second

// server takes requests from its queue and has a child answer each.
type server struct {
	options
	queue    sysv.Queue
	dir      *os.File      // the served directory, held open, for the children
	slots    chan struct{} // one is taken for each child
	stopping atomic.Bool
	stopped  chan struct{} // closed when the queue is gone

	mu       sync.Mutex
	children map[int]wire.Request // by PID, until they are reaped
}

// The main goroutine, which receives, stays on the main thread. Of a receiver that has slept the kernel notes the
// thread's number (pipelined_send in ipc/msg.c), and only the main thread's is the process's, see claim.
func init() { runtime.LockOSThread() }

// serve works until a signal ends it, or somebody removes the queue.
func serve(o options) error {
	signal.Ignore(unix.SIGPIPE) // a log that nobody reads must not end the server, whose queue would stay
	ending, ended := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	for _, sig := range []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT} {
		if !signal.Ignored(sig) { // by nohup(1), for instance
			signal.Notify(ending, sig)
		}
	}
	dir, err := os.OpenFile(o.root, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	q, err := openRequestQueue(o.key)
	if err != nil {
		return err
	}
	s := &server{options: o, queue: q, dir: dir, slots: make(chan struct{}, o.children), stopped: make(chan struct{}),
		children: map[int]wire.Request{}}
	go s.reap(ended)
	go func() {
		logf("%v: stopping", <-ending)
		s.stop()
	}()
	fmt.Printf("svfiled: PID %d serves %s on queue %d\n", os.Getpid(), o.root, q)
	err = s.takeRequests()
	if s.stopping.Load() && errors.Is(err, os.ErrNotExist) {
		err = nil
	} else {
		q.Remove() // if it still is there
	}
	s.endChildren()
	return err
}

// takeRequests waits in msgrcv(2), which fails when the queue is removed. With all slots taken it takes nothing; the
// queue fills, and the kernel makes further clients wait in msgsnd(2).
func (s *server) takeRequests() error {
	buf := make([]byte, wire.RequestSize+1)
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.stopped:
			return nil
		}
		// Any type, and cut if it is too long: a message that is never taken would be in the way for ever.
		n, _, err := s.queue.Receive(buf, 0, sysv.NoError)
		if err != nil {
			<-s.slots
			return err
		}
		if err := s.start(buf[:n]); err != nil {
			logf("dropped a request: %v", err)
			<-s.slots
		}
	}
}

// start fails when no child was started. If the request was a client's, that has been told why.
func (s *server) start(message []byte) error {
	r, err := wire.ParseRequest(message)
	if err != nil {
		return err
	}
	if err := s.mustBeAClients(r.Queue); err != nil {
		return err
	}
	if err = errStopping; !s.stopping.Load() {
		err = s.fork(r)
	}
	if err != nil {
		err = refuse(r, err)
	}
	return err
}

var errStopping = errors.New("the server is stopping")

// mustBeAClients refuses what cannot be the queue that a client has made for this request. The kernel does not tell who
// has sent a request, so anybody can name a queue that is another's. The server, which may write where the sender may
// not, would fill it. So a reply queue has no key and nobody has used it yet.
func (s *server) mustBeAClients(q sysv.Queue) error {
	st, err := q.Status()
	s.mu.Lock()
	served := slices.ContainsFunc(slices.Collect(maps.Values(s.children)), func(r wire.Request) bool { return r.Queue == q })
	s.mu.Unlock()
	switch {
	case err != nil:
		return err
	case st.Key != sysv.Private: // the request queue itself, for instance
		return fmt.Errorf("queue %d: has the key %v, a client's has none", q, st.Key)
	case served, st.Messages > 0, !st.Sent.IsZero(), !st.Received.IsZero():
		return fmt.Errorf("queue %d: is in use already, a client makes one for each request", q)
	case st.MaxBytes < 2*wire.FailureSize:
		return fmt.Errorf("queue %d: takes %d bytes, at least %d are needed", q, st.MaxBytes, 2*wire.FailureSize)
	}
	return nil
}

// fork starts the child for a request. Go cannot fork without exec, so the child is this program once more; the served
// directory is its descriptor 3.
func (s *server) fork(r wire.Request) error {
	s.mu.Lock() // the child may end before it is in the table, and be reaped then
	defer s.mu.Unlock()
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"svfiled", "--answer", fmt.Sprint(r.Queue),
		"--root", "/proc/self/fd/3", "--stall", s.stall.String(), "--", r.Path},
		&syscall.ProcAttr{
			Env:   os.Environ(),
			Files: []uintptr{0, 1, 2, s.dir.Fd()},
			// A process group of its own, so that Ctrl-C ends the server, not the transfers.
			Sys: &syscall.SysProcAttr{Setpgid: true},
		})
	if err != nil {
		return fmt.Errorf("no child process: %w", err)
	}
	s.children[pid] = r
	return nil
}

// reap takes in children that have ended. Signals do not queue, so one SIGCHLD can stand for several of them, or for
// one that was taken in before: it asks until there is none, and never waits.
func (s *server) reap(ended <-chan os.Signal) {
	for range ended {
		for {
			var status unix.WaitStatus
			s.mu.Lock()
			pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
			r, ours := s.children[pid]
			delete(s.children, pid)
			s.mu.Unlock()
			if ours {
				s.speakFor(pid, r, status)
				<-s.slots
			} else if pid <= 0 && err != unix.EINTR {
				break
			}
		}
	}
}

// speakFor tells the client of a child that could not do so itself. There is room for that, see wire.PieceSize.
func (s *server) speakFor(pid int, r wire.Request, status unix.WaitStatus) {
	reason := fmt.Errorf("the server's process %d for it exited with status %d", pid, status.ExitStatus())
	switch {
	case status.Exited() && status.ExitStatus() <= statusFailed:
		return
	case s.stopping.Load():
		reason = errStopping
	case status.Signaled():
		reason = fmt.Errorf("the server's process %d for it was ended by %s", pid, unix.SignalName(status.Signal()))
	}
	logf("failed %q to queue %d: %v", r.Path, r.Queue, refuse(r, reason))
}

// stop refuses the requests that wait and removes the queue, which wakes takeRequests.
func (s *server) stop() {
	s.stopping.Store(true)
	for _, message := range drain(s.queue) {
		logf("dropped a request: %v", s.start(message))
	}
	s.queue.Remove()
	close(s.stopped)
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
