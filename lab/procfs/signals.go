package procfs

import (
	"fmt"
	"math/bits"
	"syscall"

	"golang.org/x/sys/unix"
)

// lastSignal is the kernel's _NSIG; the first signal is 1.
const lastSignal = 64

// firstRealtime is SIGRTMIN as C programs know it. The kernel's is 32, but libc keeps 32 and 33 (signal(7)).
const firstRealtime = 34

// SignalSet is a set of signals as proc_pid_status(5) shows it: bit n-1 is signal n.
type SignalSet uint64

// NewSignalSet returns the set of the given signals, which must be between 1 and 64.
func NewSignalSet(signals ...syscall.Signal) SignalSet {
	var s SignalSet
	for _, sig := range signals {
		s |= 1 << (sig - 1)
	}
	return s
}

// Has reports whether sig is in the set.
func (s SignalSet) Has(sig syscall.Signal) bool {
	return sig >= 1 && sig <= lastSignal && s>>(sig-1)&1 != 0
}

// Signals returns the members in ascending order.
func (s SignalSet) Signals() []syscall.Signal {
	sigs := make([]syscall.Signal, 0, bits.OnesCount64(uint64(s)))
	for n := syscall.Signal(1); n <= lastSignal; n++ {
		if s.Has(n) {
			sigs = append(sigs, n)
		}
	}
	return sigs
}

// String is the mask as in /proc/PID/status and its names: `0000000000010000 (SIGCHLD)`.
func (s SignalSet) String() string {
	return describe(uint64(s), 1, lastSignal, func(n int) string { return SignalName(syscall.Signal(n)) })
}

// SignalName returns SIGTERM, SIGRTMIN+2 or, for the two that libc keeps to itself, "signal 32".
func SignalName(sig syscall.Signal) string {
	switch {
	case sig == lastSignal:
		return "SIGRTMAX"
	case sig == firstRealtime:
		return "SIGRTMIN"
	case sig > firstRealtime && sig < lastSignal:
		return fmt.Sprintf("SIGRTMIN+%d", sig-firstRealtime)
	}
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", int(sig))
}

// ParseSignal is the reverse of [SignalName].
func ParseSignal(name string) (syscall.Signal, error) {
	for n := syscall.Signal(1); n <= lastSignal; n++ {
		if SignalName(n) == name {
			return n, nil
		}
	}
	return 0, fmt.Errorf("unknown signal %q", name)
}
