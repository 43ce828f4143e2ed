package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
)

// rootMayKeep are the capabilities that let a program started by root switch users and handle its files. Without the
// others it can neither mount nor trace a process with more capabilities.
var rootMayKeep = procfs.NewCapSet(
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID,
	unix.CAP_SETUID, unix.CAP_SETPCAP, unix.CAP_IPC_OWNER,
)

// victim is the oom_score_adj of the OOM killer's first choice (proc(5)).
const victim = "1000"

// confineProgram takes from an untrusted program what only the suite may have. The launcher itself keeps it until exec.
func (o *orders) confineProgram() error {
	if !o.confine {
		return nil
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_CAP_AMBIENT_CLEAR_ALL: %w", err)
	}
	if os.Geteuid() == 0 {
		if err := dropFromBounding(); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(victim), 0); err != nil {
		return err
	}
	return installFilter(ownLimitsFilter())
}

// dropFromBounding limits what an exec by root grants (capabilities(7)).
func dropFromBounding() error {
	for c := range 64 {
		if rootMayKeep.Has(c) {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			return nil // beyond the kernel's last one
		}
		if err != nil {
			return fmt.Errorf("prctl PR_CAPBSET_DROP %d: %w", c, err)
		}
	}
	return nil
}

// filter makes the kernel kill the process at mq_notify(2), or fail its reads as from a bad disk.
func (o *orders) filter() error {
	switch {
	case o.killAt:
		return installFilter(killFilter)
	case o.badFrom > 0:
		return installFilter(badDiskFilter(uint32(o.badFrom)))
	}
	return nil
}

// installFilter also works without CAP_SYS_ADMIN, but only with no_new_privs (seccomp(2)), which the program can see.
func installFilter(program []unix.SockFilter) error {
	err := setFilter(program)
	if !errors.Is(err, unix.EACCES) {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_NO_NEW_PRIVS: %w", err)
	}
	return setFilter(program)
}

// Offsets in struct seccomp_data, on the little-endian machines of sys_linux.go.
const (
	systemCall = 0        // nr
	arch       = 4        // of the system call
	first      = 16       // args[0], low half
	fourth     = 16 + 3*8 // args[3], low half
)

const (
	load        = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	jumpEqual   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	jumpAtLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	give        = unix.BPF_RET | unix.BPF_K
)

// killFilter kills at mq_notify(2) and allows everything else.
var killFilter = []unix.SockFilter{
	{Code: load, K: systemCall},
	{Code: jumpEqual, Jf: 1, K: unix.SYS_MQ_NOTIFY},
	{Code: give, K: unix.SECCOMP_RET_KILL_PROCESS},
	{Code: give, K: unix.SECCOMP_RET_ALLOW},
}

// badDiskFilter fails pread64(2) from an offset on, and allows everything else.
func badDiskFilter(from uint32) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: load, K: systemCall},
		{Code: jumpEqual, Jt: 0, Jf: 3, K: unix.SYS_PREAD64},
		{Code: load, K: fourth},
		{Code: jumpAtLeast, Jt: 0, Jf: 1, K: from},
		{Code: give, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EIO)},
		{Code: give, K: unix.SECCOMP_RET_ALLOW},
	}
}

// prlimits has the number of prlimit(2) in each ABI of these machines, including 32-bit and x32.
var prlimits = []struct{ arch, nr uint32 }{
	{unix.AUDIT_ARCH_X86_64, 302}, {unix.AUDIT_ARCH_X86_64, 302 | 1<<30}, {unix.AUDIT_ARCH_I386, 340},
	{unix.AUDIT_ARCH_AARCH64, 261}, {unix.AUDIT_ARCH_ARM, 369},
}

// ownLimitsFilter fails prlimit(2) for any process but the caller, named as 0. The kernel only checks that the user is
// the same, not the other process's capabilities.
func ownLimitsFilter() (program []unix.SockFilter) {
	for i, prlimit := range prlimits {
		program = append(program, []unix.SockFilter{
			{Code: load, K: arch},
			{Code: jumpEqual, Jf: 2, K: prlimit.arch},
			{Code: load, K: systemCall},
			{Code: jumpEqual, Jt: uint8(4*(len(prlimits)-i) - 3), K: prlimit.nr},
		}...)
	}
	return append(program, []unix.SockFilter{
		{Code: give, K: unix.SECCOMP_RET_ALLOW},
		{Code: load, K: first},
		{Code: jumpEqual, Jt: 1, K: 0},
		{Code: give, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: give, K: unix.SECCOMP_RET_ALLOW},
	}...)
}
