package main

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// setSignals sets the disposition of every signal and the mask. Package os/signal would not do: it cannot reach the
// signals that the runtime keeps, and the launcher's own handlers and whatever the suite was started with (nohup) would
// show through.
func (o *orders) setSignals() error {
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if sig == unix.SIGKILL || sig == unix.SIGSTOP {
			continue
		}
		if err := setDisposition(sig, o.ignore.Has(sig)); err != nil {
			return fmt.Errorf("rt_sigaction %v: %w", sig, err)
		}
	}
	var mask unix.Sigset_t
	mask.Val[0] = uint64(o.block)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil); err != nil {
		return fmt.Errorf("rt_sigprocmask: %w", err)
	}
	return nil
}

// filter has the kernel kill the process at the system calls named. Without CAP_SYS_ADMIN the kernel takes a filter
// only with no_new_privs (seccomp(2)), which the program then sees.
func (o *orders) filter() error {
	if len(o.killAt) == 0 {
		return nil
	}
	err := setFilter(killFilter(o.killAt))
	if !errors.Is(err, unix.EACCES) {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_NO_NEW_PRIVS: %w", err)
	}
	return setFilter(killFilter(o.killAt))
}

// killFilter kills at the given system calls and allows the rest.
func killFilter(numbers []uint32) []unix.SockFilter {
	const systemCall = 0 // offset of nr in struct seccomp_data
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: systemCall}}
	for _, nr := range numbers {
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: nr},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS})
	}
	return append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
}
