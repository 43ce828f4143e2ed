package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"
)

//lab:begin

// lastSignal is _NSIG-1 of <signal.h> on Linux: 64 signals, real-time ones included.
const lastSignal = 64

//lab:end

// resetDispositions is step 2. An exec resets caught signals to their default action but keeps ignored ones ignored,
// and os/signal.Reset does not touch a signal that was ignored from the start; so every signal found at SIG_IGN is set
// to SIG_DFL beneath the runtime, by isIgnored and setDefault, shortly before the exec.
func resetDispositions() error {
	//lab:begin signals
	//lab:instead return nil
	for sig := 1; sig <= lastSignal; sig++ {
		if sig == int(unix.SIGKILL) || sig == int(unix.SIGSTOP) {
			continue
		}
		ignored, err := isIgnored(sig)
		if err == nil && ignored {
			err = setDefault(sig)
		}
		if err != nil {
			return fmt.Errorf("rt_sigaction of signal %d: %w", sig, err)
		}
	}
	return nil
	//lab:end
}

// resetMask is step 3, for the calling thread, whose mask a child inherits. It returns the previous mask.
func resetMask() (old unix.Sigset_t, err error) {
	//lab:begin sigmask
	//lab:instead return old, nil
	var empty unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &empty, &old); err != nil {
		return old, fmt.Errorf("rt_sigprocmask: %w", err)
	}
	return old, nil
	//lab:end
}
