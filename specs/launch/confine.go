package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
)

// rootMayKeep are the capabilities by which a program that root starts can become another user and look after its files.
// Without the others it can neither mount nor trace a process that has more than it has.
var rootMayKeep = procfs.NewCapSet(
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID,
	unix.CAP_SETUID, unix.CAP_SETPCAP, unix.CAP_IPC_OWNER,
)

// victim is the oom_score_adj of who is to be killed first (proc(5)).
const victim = "1000"

// confineProgram takes from the program what only the suite may have, for when it is not trusted. The launcher itself
// keeps it until it executes the program.
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

// dropFromBounding bounds what an exec by root gives (capabilities(7)).
func dropFromBounding() error {
	for c := range 64 {
		if rootMayKeep.Has(c) {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			return nil // beyond the kernel's last
		}
		if err != nil {
			return fmt.Errorf("prctl PR_CAPBSET_DROP %d: %w", c, err)
		}
	}
	return nil
}
