package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// grace is how long children may go on after SIGTERM.
const grace = 5 * time.Second

// server takes requests from its queue and has a child answer each. All but the receiving is one goroutine's.
type server struct {
	options
	queue    sysv.Queue
	dir      *os.File             // the served directory, held open, for the children
	children map[int]wire.Request // by PID, until they are reaped
	stopping bool

	next     chan struct{} // the receiver is to take a request
	requests chan []byte
	gone     chan error // why none can be taken any more
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
	s := &server{options: o, queue: q, dir: dir, children: map[int]wire.Request{},
		next: make(chan struct{}), requests: make(chan []byte), gone: make(chan error)}
	fmt.Printf("svfiled: PID %d serves %s on queue %d\n", os.Getpid(), o.root, q)
	done := make(chan error)
	go func() { done <- s.direct(ending, ended) }()
	for range s.next {
		buf := make([]byte, wire.RequestSize+1)
		// Any type, and cut if it is too long: a message that is never taken would be in the way for ever.
		if n, _, err := q.Receive(buf, 0, sysv.NoError); err != nil {
			s.gone <- err
		} else {
			s.requests <- buf[:n]
		}
	}
	return <-done
}

// direct goes on until the server stops and its children are done. With as many of them as there may be it has nothing
// taken; the queue fills, and the kernel makes further clients wait in msgsnd(2).
func (s *server) direct(ending, ended <-chan os.Signal) (err error) {
	defer close(s.next)
	var enough <-chan time.Time
	for receiving := false; !s.stopping || receiving || len(s.children) > 0; {
		next := s.next
		if s.stopping || receiving || len(s.children) == s.options.children {
			next = nil
		}
		select {
		case next <- struct{}{}:
			receiving = true
		case message := <-s.requests:
			receiving = false
			s.start(message)
		case <-ended:
			s.reap()
		case sig := <-ending: // refuses the requests that wait and removes the queue, which wakes the receiver
			logf("%v: stopping", sig)
			s.stopping, ending, enough = true, nil, time.After(grace)
			for _, message := range drain(s.queue) {
				s.start(message)
			}
			s.queue.Remove()
		case err = <-s.gone:
			if s.stopping && errors.Is(err, os.ErrNotExist) {
				err = nil
			} else {
				s.queue.Remove() // if it still is there
			}
			receiving, s.stopping, enough = false, true, time.After(grace)
		case <-enough:
			for pid := range s.children {
				unix.Kill(pid, unix.SIGKILL) // not reaped yet, so the PID is still the child's
			}
		}
	}
	return err
}

var errStopping = errors.New("the server is stopping")

// start has a child answer the request. If it was a client's, that is told why none does.
func (s *server) start(message []byte) {
	r, err := wire.ParseRequest(message)
	if err == nil {
		err = s.mustBeAClients(r.Queue)
	}
	switch {
	case err != nil:
	case s.stopping:
		err = refuse(r, errStopping)
	default:
		if err = s.fork(r); err != nil {
			err = refuse(r, err)
		}
	}
	if err != nil {
		logf("dropped a request: %v", err)
	}
}

// mustBeAClients refuses what cannot be the queue that a client has made for this request. The kernel does not tell who
// has sent a request, so anybody can name a queue that is another's. The server, which may write where the sender may
// not, would fill it. So a reply queue has no key and nobody has used it yet.
func (s *server) mustBeAClients(q sysv.Queue) error {
	st, err := q.Status()
	served := false
	for _, r := range s.children {
		served = served || r.Queue == q
	}
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
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"svfiled", "--answer", fmt.Sprint(int(r.Queue)),
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
func (s *server) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if r, ours := s.children[pid]; ours {
			delete(s.children, pid)
			s.speakFor(pid, r, status)
		} else if pid <= 0 && err != unix.EINTR {
			return
		}
	}
}

// speakFor tells the client of a child that could not do so itself. There is room for that, see wire.PieceSize.
func (s *server) speakFor(pid int, r wire.Request, status unix.WaitStatus) {
	reason := fmt.Errorf("the server's process %d for it exited with status %d", pid, status.ExitStatus())
	switch {
	case status.Exited() && status.ExitStatus() <= statusFailed:
		return
	case s.stopping:
		reason = errStopping
	case status.Signaled():
		reason = fmt.Errorf("the server's process %d for it was ended by %s", pid, unix.SignalName(status.Signal()))
	}
	logf("failed %q to queue %d: %v", r.Path, r.Queue, refuse(r, reason))
}
