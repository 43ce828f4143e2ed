package procfs

import "fmt"

// CapSet is a set of capabilities (capabilities(7)): bit n is capability n.
type CapSet uint64

// capNames are in the order of linux/capability.h.
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
func (s CapSet) Has(c int) bool { return c >= 0 && c < 64 && s>>c&1 != 0 }

// String is the mask as in /proc/PID/status and its names: `0000000000000400 (CAP_NET_BIND_SERVICE)`.
func (s CapSet) String() string {
	last := len(capNames) - 1
	for s>>(last+1) != 0 { // a kernel newer than capNames
		last++
	}
	return describe(uint64(s), 0, last, CapName)
}

// CapName returns the name of capability c, or its number when the kernel is newer than this package.
func CapName(c int) string {
	if c >= 0 && c < len(capNames) {
		return capNames[c]
	}
	return fmt.Sprintf("capability %d", c)
}
