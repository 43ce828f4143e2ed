package procfs

import (
	"fmt"
	"math/bits"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// lastSignal is the kernel's _NSIG; the first signal is 1.
const lastSignal = 64

// firstRealtime is SIGRTMIN in C programs. The kernel's is 32, but libc reserves 32 and 33 (signal(7)).
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
func (s SignalSet) Signals() (signals []syscall.Signal) {
	for sig := syscall.Signal(1); sig <= lastSignal; sig++ {
		if s.Has(sig) {
			signals = append(signals, sig)
		}
	}
	return signals
}

// String returns the mask as in /proc/PID/status and its names: `0000000000010000 (SIGCHLD)`.
func (s SignalSet) String() string {
	return describe(uint64(s), lastSignal, func(bit int) string { return SignalName(syscall.Signal(bit + 1)) })
}

// SignalName returns SIGTERM, SIGRTMIN+2 or, for the two that libc reserves, "signal 32".
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

// CapSet is a set of capabilities (capabilities(7)): bit n is capability n.
type CapSet uint64

// capNames follows the order of linux/capability.h.
var capNames = [...]string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
	"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
	"CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// NewCapSet returns the set of the given capabilities (unix.CAP_*).
func NewCapSet(caps ...int) CapSet {
	var s CapSet
	for _, c := range caps {
		s |= 1 << c
	}
	return s
}

// Has reports whether capability c (unix.CAP_*) is in the set.
func (s CapSet) Has(c int) bool { return s>>c&1 != 0 }

// String returns the mask as in /proc/PID/status and its names: `0000000000000400 (CAP_NET_BIND_SERVICE)`.
// Capabilities of a newer kernel appear as numbers.
func (s CapSet) String() string {
	return describe(uint64(s), max(len(capNames), bits.Len64(uint64(s))), func(bit int) string {
		if bit < len(capNames) {
			return capNames[bit]
		}
		return fmt.Sprintf("capability %d", bit)
	})
}

// describe renders a set of n bits as its mask and names. A set of more than half of them is described by what is
// missing.
func describe(mask uint64, size int, name func(bit int) string) string {
	var in, out []string
	for bit := range size {
		if mask>>bit&1 != 0 {
			in = append(in, name(bit))
		} else {
			out = append(out, name(bit))
		}
	}
	words := strings.Join(in, ", ")
	switch {
	case len(in) == 0:
		words = "none"
	case len(out) == 0:
		words = "all"
	case len(in) > len(out):
		words = "all but " + strings.Join(out, ", ")
	}
	return fmt.Sprintf("%016x (%s)", mask, words)
}
