package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// deadly are the signals people use to end a program. Those that a fault raises too (SIGSEGV and the like) arrive here
// only when sent by kill(2).
var deadly = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGXCPU,
	unix.SIGABRT, unix.SIGILL, unix.SIGTRAP, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS, unix.SIGSTKFLT,
}

// catchSignals returns the channel of deadly signals. SIGHUP and SIGINT stay ignored if the starter ignored them, as
// nohup(1) and a shell's & do; Go's runtime has already replaced any other ignored disposition.
func catchSignals() <-chan os.Signal {
	signal.Ignore(unix.SIGPIPE) // write(2) fails with EPIPE, which says more
	// All other signals that would end a program are caught by Go's runtime, without effect. These two it leaves to libc.
	ignoreSignal(32)
	ignoreSignal(34)
	arrived := make(chan os.Signal, 1)
	for _, sig := range deadly {
		if !signal.Ignored(sig) {
			signal.Notify(arrived, sig)
		}
	}
	return arrived
}
