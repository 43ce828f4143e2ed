package harness

import (
	"os"
	"os/signal"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// TamperedStatus is the exit status of a suite that was [Tampered] with.
const TamperedStatus = 3

var tampered atomic.Bool

// Tampered reports whether this process, since [WithstandSignals], or a child that measures the machine for [Now] was
// stopped. Nothing observed then counts: the program under test had all the time it wanted.
func Tampered() bool {
	return tampered.Load()
}

// WithstandSignals makes this process survive every signal except SIGKILL and SIGSTOP: a program under test may send
// any. They are caught rather than ignored: children would inherit that.
func WithstandSignals() {
	signal.Reset() // earlier subscribers get nothing from now on
	signals, continued := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(signals)
	signal.Notify(continued, unix.SIGCONT) // only this ends a stop, signal(7)
	go func() {
		for {
			select {
			case <-signals:
			case <-continued:
				tampered.Store(true)
			}
		}
	}()
}
