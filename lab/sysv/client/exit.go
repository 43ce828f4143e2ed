package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
)

// What the process ends with.
const (
	statusDone     = 0
	statusFailed   = 1   // the server said so, or this side could not do its part
	statusUsage    = 2   // the command line
	statusNoServer = 3   // none that answers
	statusSignal   = 128 // plus the signal's number, as a shell counts
)

// leftovers are what would outlive the process. A queue or file is made and noted in one step, under mu, so that a
// signal finds either both or neither.
var leftovers struct {
	mu    sync.Mutex
	queue *sysv.Queue
	file  string // "" when there is none
}

// exit is the only way out, as exit(3) with atexit(3) in C: it removes what is left, whoever calls it. mu stays locked,
// so that nothing new is made and no other exit comes in between.
func exit(status int) {
	leftovers.mu.Lock()
	leave(status)
}

func leave(status int) {
	if leftovers.queue != nil {
		leftovers.queue.Remove() // that it is gone already is what we want
	}
	if leftovers.file != "" {
		os.Remove(leftovers.file)
	}
	os.Exit(status)
}

// errNoServer is matched by the errors that end with statusNoServer.
var errNoServer = errors.New("no server")

// fail tells the user why, and exits. A reader of our output that went away is no news to him, nor is what comes of an
// exit that has begun elsewhere: a queue that was removed, for instance.
func fail(err error) {
	leftovers.mu.Lock()
	if errors.Is(err, unix.EPIPE) {
		leave(statusSignal + int(unix.SIGPIPE))
	}
	fmt.Fprintf(os.Stderr, "svfile: %v\n", err)
	if errors.Is(err, errNoServer) {
		leave(statusNoServer)
	}
	leave(statusFailed)
}

// deadly are the signals that end a program, but for SIGKILL and 34, which no Go program can catch. Those that a fault
// raises too arrive here only when kill(2) sent them.
var deadly = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGXCPU,
	unix.SIGABRT, unix.SIGVTALRM, unix.SIGIO, unix.SIGPWR, unix.SIGSTKFLT,
	unix.SIGILL, unix.SIGTRAP, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS,
}

// exitOnSignals has every deadly signal end the process by exit. SIGHUP and SIGINT stay ignored if the starter ignored
// them, as nohup(1) and a shell's & do. SIGPIPE and SIGXFSZ are ignored, so that write(2) fails instead and says why.
func exitOnSignals() {
	signal.Ignore(unix.SIGPIPE, unix.SIGXFSZ)
	var heeded []os.Signal
	for _, sig := range deadly {
		if !signal.Ignored(sig) {
			heeded = append(heeded, sig)
		}
	}
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, heeded...)
	go func() {
		sig := <-arrived
		exit(statusSignal + int(sig.(syscall.Signal)))
	}()
}
