package harness

import (
	"os"
	"os/signal"
)

// WithstandSignals has this process go on whatever signals it gets, but for SIGKILL and SIGSTOP: a program under test may
// send it any. Ignored in earnest they would be for its children, too. Who asks for a signal by os/signal still gets it.
func WithstandSignals() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals)
	go func() {
		for range signals {
		}
	}()
}
