// Package event defines the events of a trace: what the kernel was asked and what it answered, without any judgement.
// Package ptrace collects them, package birth reads them.
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

// Kind is the kind of an event.
type Kind int

const (
	Call     Kind = iota // a system call returned
	Born                 // the process created a child, Result
	Executed             // the process executed another program, Path
	Ended                // the process ended, with the wait status Result
	Adopted              // the process got another parent, Result
	Client               // the tracer's own client did something, Did
	Told                 // the tracer sent the signal Result: SIGTERM to the daemon, SIGKILL to what is left
)

// Event is something that a thread did or that happened to its process.
type Event struct {
	Kind     Kind
	At       time.Duration // since the command's first instruction
	Began    time.Duration // when a system call was entered
	PID, TID int

	Name    string    // of the system call
	Args    [6]uint64 // of the system call
	Result  int64     // negative: -errno
	Path    string    // a name among the arguments; of a queue with its slash
	File    string    // file that Path, the descriptor argument or a new descriptor refers to, as in /proc/PID/fd
	To      string    // second name of rename(2) and link(2), absolute
	Value   uint64    // what an argument points to: handler, set of signals, kind of notification or lock, capabilities
	Old     uint64    // blocked signals before; of capset(2) the permitted set
	Data    []byte    // first bytes written or read
	Existed bool      // Path existed before the call
	Env     []string  // of a new program
	Cut     bool      // interrupted by a signal or by the thread's end; Result is -EINTR

	Did      rubric.Text // by a client
	Unserved bool        // a client got no answer
}

// Failed reports whether a system call returned an error.
func (e *Event) Failed() bool {
	return e.Kind == Call && e.Result < 0
}

// Errno returns the name of a failed call's error, or "".
func (e *Event) Errno() string {
	if !e.Failed() {
		return ""
	}
	if name := unix.ErrnoName(unix.Errno(-e.Result)); name != "" {
		return name
	}
	return fmt.Sprintf("errno %d", -e.Result)
}

// Writes reports whether the call is one of the write(2) family.
func (e *Event) Writes() bool {
	return slices.Contains([]string{"write", "pwrite", "writev", "pwritev"}, e.Name)
}

// Registers reports whether the call registers for notification.
func (e *Event) Registers() bool {
	return e.Name == "mq_notify" && !e.Failed() && e.Args[1] != 0
}

// Record is a whole trace.
type Record struct {
	Command  []string
	Lab      bool // it uses a queue; otherwise none is waited for
	Events   []*Event
	Before   facts.Facts         // of the command at its first instruction, as its starter left it
	After    map[int]facts.Facts // of each process alive when the start was over, by PID
	PIDFiles []*PIDFile          // as of then, in the order in which they first held a PID
	Armed    mq.Status           // of the request queue, as of then
	ArmedAt  string              // the request queue, "" when none was opened
	Mode     uint32              // its permission bits, as of then
	Stderr   string              // written by the command
	Lost     bool                // the lock on the PID file was gone after the requests
	Left     []string            // queue and PID file that were left at the end
	Refuses  procfs.Status       // of the daemon, if SIGTERM did not end it in time; otherwise without a Pid
}

// Find returns the first event that fits, FindLast the last, or nil.
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

// PIDFile is a file that a traced process's PID was written to.
type PIDFile struct {
	facts.PIDFile
	Called []string // its names in turn; the last is the current one
	Err    error    // why it could not be read
}

// Name is the file's current name.
func (f *PIDFile) Name() string { return f.Called[len(f.Called)-1] }
