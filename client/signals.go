package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// deadly are the signals people use to end a program. Those that a fault raises too (SIGSEGV and the like) arrive here
// only when sent by kill(2).
var deadly = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGXCPU,
	unix.SIGABRT, unix.SIGILL, unix.SIGTRAP, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS, unix.SIGSTKFLT,
}

// harmless are signals that would end the program too, but are ignored, as are the real-time signals. Without SIGPIPE
// and SIGXFSZ, write(2) fails with EPIPE or EFBIG, which says more. Nobody uses the others to end a program, and
// catching a signal costs two thread switches, 25 us, where ignoring one costs a system call.
var harmless = []os.Signal{unix.SIGPIPE, unix.SIGXFSZ, unix.SIGVTALRM, unix.SIGIO, unix.SIGPWR}

// The real-time signals that os/signal handles. Go's runtime catches 33, and leaves 32 and 34 (glibc's SIGRTMIN) to
// libc.
const firstRealTime, lastRealTime = 35, 64

// catchSignals returns the channel of deadly signals. SIGHUP and SIGINT stay ignored if the starter ignored them, as
// nohup(1) and a shell's & do; Go's runtime has already replaced any other ignored disposition.
func catchSignals() <-chan os.Signal {
	signal.Ignore(harmless...)
	ignoreSignal(32)
	ignoreSignal(34)
	for n := firstRealTime; n <= lastRealTime; n++ {
		signal.Ignore(syscall.Signal(n))
	}
	arrived := make(chan os.Signal, 1)
	for _, sig := range deadly {
		if !signal.Ignored(sig) {
			signal.Notify(arrived, sig)
		}
	}
	return arrived
}
