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

// Tampered reports whether this process, since [WithstandSignals], or a child that [Now] measures the machine by was
// stopped. What was seen then proves nothing: a program under test had all the time that it wanted.
func Tampered() bool {
	return tampered.Load()
}

// WithstandSignals has this process go on whatever signals it gets from now, but for SIGKILL and SIGSTOP: a program under
// test may send it any. Ignored in earnest they would be for its children, too.
func WithstandSignals() {
	signal.Reset() // whoever has asked for one gets it no more
	signals, continued := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(signals)
	signal.Notify(continued, unix.SIGCONT) // which alone ends a stop, signal(7)
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
