package harness

import (
	"os"
	"os/signal"
)

// WithstandSignals has this process go on whatever signals it gets from now, but for SIGKILL and SIGSTOP: a program under
// test may send it any. Ignored in earnest they would be for its children, too.
func WithstandSignals() {
	signal.Reset() // whoever has asked for one gets it no more
	signals := make(chan os.Signal, 1)
	signal.Notify(signals)
	go func() {
		for range signals {
		}
	}()
}
