// Command launch starts a program in a setting as bad as a starter may leave it. It sets everything up in its own
// process and then executes the program, so that the suite's process, in which an ignored signal or a low descriptor
// could not be undone, is unaffected.
//
//	launch [order]... -- program [argument]...
//
// What the orders do not name is plain: no descriptor above 2, no signal blocked or ignored. The program keeps the
// launcher's PID, and the user, namespaces and standard files that the suite started the launcher with.
//
// A failure of the launcher itself is one line beginning `launch: `, with exit status 125: the suite is at fault, never
// the program. With --failures the line goes to a descriptor that the program, which could print the same, does not
// have.
package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// exitFailed is how env(1), timeout(1) and others tell their own failure from the program's.
const exitFailed = 125

func main() {
	o, err := parse(os.Args[1:])
	if err == nil {
		// Mask, credentials and seccomp filter are per thread; execve uses those of the calling one.
		runtime.LockOSThread()
		err = o.launch()
	}
	fmt.Fprintf(os.NewFile(uintptr(o.failures), "failures"), "launch: %v\n", err)
	os.Exit(exitFailed)
}

// launch returns only on failure. The order matters: a terminal needs its descriptor before that is moved, descriptors
// may lie above the limit that follows, and after setSignals nothing may run for which Go needs signals.
func (o *orders) launch() error {
	for _, step := range []func() error{
		o.takeTerminal, o.changeUmask, o.plant, o.limit, o.changeSecurebits, o.confineProgram, o.setSignals, o.filter,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	err := syscall.Exec(o.program, o.args, o.env) // restores the RLIMIT_NOFILE that package os has raised
	return fmt.Errorf("exec %s: %w", o.program, err)
}

// takeTerminal starts a session, which the program then leads, with the terminal as its controlling one.
func (o *orders) takeTerminal() error {
	if o.terminal < 0 {
		return nil
	}
	if _, err := unix.Setsid(); err != nil {
		return fmt.Errorf("setsid: %w", err)
	}
	if err := unix.IoctlSetInt(o.terminal, unix.TIOCSCTTY, 0); err != nil {
		return fmt.Errorf("TIOCSCTTY of descriptor %d: %w", o.terminal, err)
	}
	return nil
}

func (o *orders) changeUmask() error {
	if o.umask >= 0 {
		unix.Umask(o.umask)
	}
	return nil
}

func (o *orders) limit() error {
	for _, l := range o.limits {
		// x/sys notifies package syscall, which then does not restore RLIMIT_NOFILE at exec.
		if err := unix.Setrlimit(l.resource, &l.Rlimit); err != nil {
			return fmt.Errorf("setrlimit %s: %w", l.name, err)
		}
	}
	return nil
}

// changeSecurebits changes those of the calling thread, which execve uses.
func (o *orders) changeSecurebits() error {
	if !o.noFixup {
		return nil
	}
	const noSetuidFixup = 1 << 2 // SECBIT_NO_SETUID_FIXUP of securebits.h
	return os.NewSyscallError("prctl PR_SET_SECUREBITS", unix.Prctl(unix.PR_SET_SECUREBITS, noSetuidFixup, 0, 0, 0))
}

// setSignals sets every signal's disposition, and the mask. Package os/signal would not do: it cannot reach the signals
// that the runtime reserves, and the launcher's handlers and inherited dispositions (nohup) would show through.
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
	return os.NewSyscallError("rt_sigprocmask", unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil))
}

// plant moves the given descriptors to their numbers. Any of these may be in use, by another given one or by the Go
// runtime, so all are first copied out of the way. Everything else above 2 closes at exec: the original numbers, leaks
// of the suite, and the copies.
func (o *orders) plant() error {
	failures, err := o.copyAbove(o.failures)
	if err != nil {
		return err
	}
	o.failures = failures
	copies := make([]int, len(o.planted))
	for i, p := range o.planted {
		fd, err := o.copyAbove(p.from)
		if err != nil {
			return err
		}
		copies[i] = fd
	}
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	for i, p := range o.planted {
		if err := unix.Dup3(copies[i], p.to, 0); err != nil {
			return fmt.Errorf("dup3 %d to %d: %w", p.from, p.to, err)
		}
	}
	return nil
}

// copyAbove duplicates fd, close-on-exec, to a number that no planting uses.
func (o *orders) copyAbove(fd int) (int, error) {
	for above := 3; ; {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, above)
		if err != nil {
			return -1, fmt.Errorf("fcntl F_DUPFD_CLOEXEC of %d: %w", fd, err)
		}
		if !slices.ContainsFunc(o.planted, func(p planting) bool { return p.to == dup }) {
			return dup, nil
		}
		unix.Close(dup)
		above = dup + 1
	}
}
