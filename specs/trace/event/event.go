// Package event has the events that a trace consists of: what the kernel was asked for and what it answered, without
// any judgement. Package ptrace gathers them, package birth reads them.
package event

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/procfs"
	"daemonlab/specs/facts"
	"daemonlab/specs/rubric"
)

// Kind is what an event tells.
type Kind int

const (
	Call     Kind = iota // a system call came back
	Born                 // the process has a child, Result
	Executed             // the process runs another program, Path
	Ended                // the process is gone, with the wait status Result
	Adopted              // the process has another parent, Result
	Client               // what a client of the tracer's own did, Did
	Told                 // the tracer sent the signal Result: SIGTERM to the daemon, SIGKILL to all that is left
)

// Event is one thing that a thread did or that happened to its process.
type Event struct {
	Kind     Kind
	At       time.Duration // since the command's first instruction
	Began    time.Duration // when a system call was entered
	PID, TID int

	Name    string    // of the system call
	Args    [6]uint64 // of the system call
	Result  int64     // a negative one is -errno
	Path    string    // a name among the arguments; of a queue with its slash
	File    string    // what that name, the descriptor among the arguments or a new one leads to, as in /proc/PID/fd
	To      string    // the second name of rename(2) and link(2), from the root
	Value   uint64    // what an argument points to: handler, set of signals, kind of notification or lock, capabilities
	Old     uint64    // the set of blocked signals before; of capset(2) what is permitted
	Data    []byte    // first bytes written or read
	Existed bool      // Path was there before the call
	Env     []string  // of a new program
	Cut     bool      // a signal or the thread's end interrupted the call; Result is -EINTR

	Did      rubric.Text // by a client
	Unserved bool        // a client got no answer
}

// Failed reports whether a system call returned an error.
func (e *Event) Failed() bool {
	return e.Kind == Call && e.Result < 0
}

// Errno names the error of a system call that failed, "" where it did not.
func (e *Event) Errno() string {
	if !e.Failed() {
		return ""
	}
	if name := unix.ErrnoName(unix.Errno(-e.Result)); name != "" {
		return name
	}
	return fmt.Sprintf("errno %d", -e.Result)
}

// Writes reports whether it is one of write(2) and its kin.
func (e *Event) Writes() bool {
	return slices.Contains([]string{"write", "pwrite", "writev", "pwritev"}, e.Name)
}

// Registers reports whether a process has asked for notification.
func (e *Event) Registers() bool {
	return e.Name == "mq_notify" && !e.Failed() && e.Args[1] != 0
}

// Record is a whole trace.
type Record struct {
	Command  []string
	Lab      bool // it has to do with a queue; else nobody waits for one
	Events   []*Event
	Before   facts.Facts         // of the command at its first instruction: what its starter has left it
	After    map[int]facts.Facts // of each process that lived when the start was over, by PID
	PIDFiles []*PIDFile          // as they were then, in the order of their first PID
	Armed    mq.Status           // of the request queue, then
	ArmedAt  string              // the request queue, "" when none was opened
	Mode     uint32              // its permission bits, then
	Stderr   string              // what it said
	Lost     bool                // the lock on the PID file, after the requests
	Left     []string            // the queue and the PID file, when it was over
	Refuses  procfs.Status       // of the daemon, when SIGTERM had not ended it in time; else without a Pid
}

// Find finds the first event that fits, FindLast the last; nil: none does.
func (r *Record) Find(fits func(e *Event) bool) *Event {
	if i := slices.IndexFunc(r.Events, fits); i >= 0 {
		return r.Events[i]
	}
	return nil
}

func (r *Record) FindLast(fits func(e *Event) bool) *Event {
	for _, e := range slices.Backward(r.Events) {
		if fits(e) {
			return e
		}
	}
	return nil
}

// PIDFile is a file that the PID of a process of the trace was written into.
type PIDFile struct {
	facts.PIDFile
	Called []string // the names that it has had; the last is its own
	Err    error    // why it could not be read
}

// Name is what the file is called.
func (f *PIDFile) Name() string { return f.Called[len(f.Called)-1] }
