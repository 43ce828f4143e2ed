// Svfiled is a file server over System V message queues, with a child process for each request. It is what the lab
// starts from: the daemon mqfiled does the same work over POSIX queues and with threads.
//
// It receives requests from a queue with a known key. For each it executes itself again; the child sends the file to
// the client's own queue and exits.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
	"daemonlab/lab/tool"
)

const usage = `usage: svfiled [flags]

Serves the files below a directory to svfile clients over System V message
queues, in the foreground, with a child process for each request.

  --root DIR    directory to serve (default: this one)
  --key KEY     of the request queue, a number (default 0x73766673)
  --children N  requests served at a time (default 64)
  --stall TIME  give up a client that takes nothing for so long (default 60s)
  --help        this text

SIGINT and SIGTERM remove the queue and end the server when its children are
done, after 5 s at the latest.
`

type options struct {
	root  string
	key   sysv.Key
	most  int // concurrent children
	stall time.Duration

	// Passed to a child: the client's queue, or -1, and the path.
	answer int
	path   string
}

func main() {
	o := options{key: wire.DefaultKey}
	f := flag.NewFlagSet("svfiled", flag.ContinueOnError)
	f.StringVar(&o.root, "root", ".", "")
	f.Var(&o.key, "key", "")
	f.IntVar(&o.most, "children", 64, "")
	f.DurationVar(&o.stall, "stall", time.Minute, "")
	f.IntVar(&o.answer, "answer", -1, "")
	err := tool.Parse(f, os.Args[1:], usage, func() error {
		o.path = f.Arg(0)
		switch {
		case f.NArg() > 0 && o.answer < 0:
			return fmt.Errorf("unexpected argument %q", o.path)
		case o.most < 1 || o.stall <= 0:
			return errors.New("--children and --stall must be positive")
		}
		return nil
	})
	if err != nil {
		os.Exit(tool.UsageStatus(err))
	}
	if o.answer >= 0 {
		err = answer(o)
	} else if err = serve(o); err != nil {
		fmt.Fprintf(os.Stderr, "svfiled: %v\n", err)
	}
	if err != nil {
		os.Exit(statusFailed)
	}
}

// statusFailed is the exit status of a server that cannot serve, and of a child that has told its client why.
const statusFailed = 1

// logf writes one line with the PID, since children log too. A single write(2) keeps lines whole.
func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "svfiled[%d]: %s\n", os.Getpid(), fmt.Sprintf(format, args...))
}

// grace is how long children may continue after SIGTERM.
const grace = 5 * time.Second

// server receives requests from its queue and starts a child for each.
type server struct {
	options
	dir      *os.File // the served directory, held open, for the children
	served   sync.Map // queues that children send to
	children sync.WaitGroup

	stopping, killing context.Context // done when new requests are refused, when children are killed
}

// The main goroutine, which receives, stays on the main thread. For a receiver that has slept the kernel records the
// thread's number (pipelined_send in ipc/msg.c), and only the main thread's is the process's, see claim.
func init() { runtime.LockOSThread() }

// serve runs until a signal ends it, or somebody removes the queue.
func serve(o options) error {
	signal.Ignore(unix.SIGPIPE) // a log that nobody reads must not end the server: its queue would stay
	// Signals that the starter ignores, as nohup(1) does, stay ignored.
	signals := slices.DeleteFunc([]os.Signal{unix.SIGINT, unix.SIGHUP, unix.SIGQUIT}, signal.Ignored)
	stopping, stop := signal.NotifyContext(context.Background(), append(signals, unix.SIGTERM)...)
	defer stop()
	killing, kill := context.WithCancel(context.Background())
	defer kill()
	dir, err := os.OpenFile(o.root, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	q, err := openRequestQueue(o.key)
	if err != nil {
		return err
	}
	s := &server{options: o, dir: dir, stopping: stopping, killing: killing}
	fmt.Printf("svfiled: PID %d serves %s on queue %d\n", os.Getpid(), o.root, q)
	context.AfterFunc(stopping, func() {
		logf("stopping: %v", context.Cause(stopping))
		time.AfterFunc(grace, kill)
		for message, err := receive(q, sysv.NoWait); err == nil; message, err = receive(q, sysv.NoWait) {
			s.answer(message)
		}
		q.Remove() // wakes the receiver
	})
	// At the maximum of children nothing is received; the queue fills, and the kernel makes further clients wait in
	// msgsnd(2).
	for places := make(chan struct{}, s.most); err == nil; {
		places <- struct{}{}
		var message []byte
		if message, err = receive(q, 0); err == nil {
			s.children.Go(func() {
				s.answer(message)
				<-places
			})
		}
	}
	q.Remove() // if it still exists
	time.AfterFunc(grace, kill)
	s.children.Wait()
	if stopping.Err() != nil && errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

var errStopping = errors.New("the server is stopping")

// answer runs a child for the request and waits for it. If there is none, or it could not tell its client why it
// failed, the client is told here. There is room for that, see wire.PieceSize.
func (s *server) answer(message []byte) {
	r, err := wire.ParseRequest(message)
	if err == nil {
		_, served := s.served.LoadOrStore(r.Queue, nil)
		if !served {
			defer s.served.Delete(r.Queue)
		}
		err = mustBeAClients(r.Queue, served)
	}
	if err != nil {
		logf("dropped a request: %v", err)
		return
	}
	if err := s.run(r); err != nil {
		logf("failed %q to queue %d: %v", r.Path, r.Queue, refuse(r.Queue, err))
	}
}

// mustBeAClients rejects what cannot be a queue that a client made for this request. The kernel does not tell who sent
// a request, so anybody can name somebody else's queue, and the server, which may write where the sender may not, would
// fill it. So a reply queue must have no key and be unused.
func mustBeAClients(q sysv.Queue, served bool) error {
	st, err := q.Status()
	switch {
	case err != nil:
		return err
	case st.Key != sysv.Private: // the request queue itself, for instance
		return fmt.Errorf("queue %d: has the key %v, a client's has none", q, st.Key)
	case served, st.Messages > 0, st.Sent != 0, st.Received != 0:
		return fmt.Errorf("queue %d: is in use already, a client makes one for each request", q)
	case st.MaxBytes < 2*wire.FailureSize:
		return fmt.Errorf("queue %d: takes %d bytes, at least %d are needed", q, st.MaxBytes, 2*wire.FailureSize)
	}
	return nil
}

// run runs a child for the request, and returns an error that the child has not told its client. Go cannot fork without
// exec, so the child is this program again; the served directory is its descriptor 3.
func (s *server) run(r wire.Request) error {
	if s.stopping.Err() != nil {
		return errStopping
	}
	child := exec.CommandContext(s.killing, "/proc/self/exe", "--answer", strconv.Itoa(int(r.Queue)),
		"--root", "/proc/self/fd/3", "--stall", s.stall.String(), "--", r.Path)
	child.Args[0] = "svfiled"
	child.Stderr, child.ExtraFiles = os.Stderr, []*os.File{s.dir}
	// A process group of its own: Ctrl-C ends the server, not the transfers.
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err := child.Run()
	switch {
	case err == nil || child.ProcessState.ExitCode() == statusFailed:
		return nil
	case s.killing.Err() != nil:
		return errStopping
	}
	return fmt.Errorf("the server's process for it: %w", err)
}

// openRequestQueue makes the request queue, or takes over the one that a crash has left in the kernel, with its
// requests. A lock on the kernel's list of queues serializes the starts of servers.
func openRequestQueue(key sysv.Key) (q sysv.Queue, err error) {
	list, err := os.Open("/proc/sysvipc/msg")
	if err != nil {
		return -1, err
	}
	defer list.Close()
	if err := unix.Flock(int(list.Fd()), unix.LOCK_EX); err != nil {
		return -1, &os.PathError{Op: "flock", Path: list.Name(), Err: err}
	}
	q, err = sysv.Get(key, sysv.Create|sysv.Exclusive, wire.QueueMode)
	if errors.Is(err, os.ErrExist) {
		if q, err = sysv.Get(key, 0, 0); err == nil {
			err = mustBeStale(q)
		}
	}
	if err == nil {
		err = claim(q)
	}
	return q, err
}

// claim makes the kernel record this process as the last receiver (msg_lrpid), using a message of a type that no
// request has. Other servers then know who serves the queue, since nobody else may receive from it.
func claim(q sysv.Queue) error {
	err := q.Send(math.MaxInt, nil, sysv.NoWait)
	if err == nil {
		_, _, err = q.Receive(nil, math.MaxInt, sysv.NoWait)
	}
	return err
}

// mustBeStale rejects a queue that may have a living server, or belongs to another user.
func mustBeStale(q sysv.Queue) error {
	s, err := q.Status()
	switch {
	case err != nil:
		return err
	case int(s.UID) != os.Geteuid():
		return fmt.Errorf("queue %d: belongs to user %d, not to %d: %w", q, s.UID, os.Geteuid(), os.ErrPermission)
	case s.LastReceiver == 0:
		return fmt.Errorf("queue %d: is there, but no server to be seen; if there is none, remove it: ipcrm -q %[1]d", q)
	}
	server := procfs.New("/proc").Process(s.LastReceiver)
	stat, _ := server.Stat()
	if ended, err := server.Ended(); err != nil {
		return err
	} else if !ended {
		return fmt.Errorf("queue %d: process %d (%s) receives from it; if that is no server, remove it: ipcrm -q %[1]d",
			q, s.LastReceiver, stat.Comm)
	}
	logf("takes over queue %d, which a server that has ended had left, with %d requests", q, s.Messages)
	return nil
}

// receive receives a request of any type, truncated if too long: one never received would be in the way for ever.
func receive(q sysv.Queue, flags int) ([]byte, error) {
	buf := make([]byte, wire.RequestSize+1)
	n, _, err := q.Receive(buf, 0, flags|sysv.NoError)
	return buf[:n], err
}
