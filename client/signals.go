package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// deadly are the signals that end a program. Those that a fault raises too (SIGSEGV and the like) arrive here only when
// kill(2) sent them.
var deadly = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPIPE,
	unix.SIGXCPU, unix.SIGABRT, unix.SIGVTALRM, unix.SIGIO, unix.SIGPWR, unix.SIGSTKFLT,
	unix.SIGILL, unix.SIGTRAP, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS,
}

// The real-time signals that Go's runtime leaves to the program.
const firstRealTime, lastRealTime = 35, 64

// catchSignals runs end and exits when a deadly signal arrives, even if the rest of the program hangs in a write(2).
//
// SIGHUP and SIGINT stay ignored if the starter ignored them, as nohup(1) and a shell's & do. Go's runtime has taken
// over the other ignored signals before any code of ours runs, so of those nothing can be known.
func catchSignals(end func()) {
	signal.Ignore(ignorable()...)
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, heeded()...)
	go func() {
		sig := <-arrived
		end()
		os.Exit(statusSignal + int(sig.(syscall.Signal)))
	}()
}

// ignorable are signals that would end the program too, but are better ignored. SIGXFSZ: write(2) then fails with
// EFBIG, which says more. The real-time signals: nobody ends a program with one, and to ignore one costs a system call,
// to catch it a switch to another thread and back, in a program that lives for two milliseconds.
func ignorable() []os.Signal {
	all := []os.Signal{unix.SIGXFSZ}
	for n := firstRealTime; n <= lastRealTime; n++ {
		all = append(all, syscall.Signal(n))
	}
	return all
}

func heeded() []os.Signal {
	var all []os.Signal
	for _, sig := range deadly {
		if !signal.Ignored(sig) {
			all = append(all, sig)
		}
	}
	return all
}

// finishing is called when only a line on stderr remains to be written. If nobody reads that, it must not change how
// the program ends.
func finishing() { signal.Ignore(unix.SIGPIPE) }
