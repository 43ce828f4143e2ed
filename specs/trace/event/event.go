// Package event has the facts that a trace is made of: what the kernel was asked for and what it answered, without any
// judgement. Package ptrace gathers them, package birth reads them.
package event

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
)

// Kind is what an event tells.
type Kind int

const (
	Call     Kind = iota // a system call came back
	Born                 // the process has a child, Result
	Executed             // the process runs another program, Path
	Ended                // the process is gone, with the wait status Result
	Adopted              // the process has another parent, Result
	Client               // what a client of the tracer's own did, Path
	Told                 // the tracer sent the process the signal Result
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
	File    string    // what the descriptor among the arguments, or the new one, leads to, as in /proc/PID/fd
	Value   uint64    // what an argument points to: handler, set of signals, kind of notification or lock
	Old     uint64    // the set of blocked signals before
	Data    []byte    // first bytes written or read
	Files   []string  // both ends of a new pipe
	Existed bool      // Path was there before the call
	Env     []string  // of a new program
	Cut     bool      // a signal or the thread's end interrupted the call; Result is -EINTR

	Unserved bool // a client got no answer
}

// Failed tells whether a system call returned an error.
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

// Facts are what /proc shows of a process at one moment.
type Facts struct {
	Stat        procfs.Stat
	Status      procfs.Status
	Tasks       []procfs.Status
	Descriptors []procfs.Descriptor
	Cwd         string
	Env         []string
	EnvUnknown  bool // Env is only what the last exec gave it
}

// Record is a whole trace.
type Record struct {
	Command []string
	Events  []Event
	Before  Facts         // of the command at its first instruction: what its starter has left it
	After   map[int]Facts // of each process that lived when the start was over, by PID
	Exit    int           // of the command; -1 when it had to be ended
	Stderr  string        // what it said
}
