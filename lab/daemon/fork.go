package daemon

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// fork is the half of step 5 that both forks have in common: it starts the next stage of this program, with the
// signal mask reset (step 3), nothing open but the standard streams, its state and the readiness pipe, and returns its
// PID.
func fork(s state, pipe *os.File, env []string) (int, error) {
	file, err := sealedState(s)
	if err != nil {
		return 0, err
	}
	defer file.Close()

	//lab:begin sigmask
	// A child has the mask of the thread that forks it, so nothing may move this goroutine between the two calls.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, err := resetMask()
	if err != nil {
		return 0, err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	//lab:end

	pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{0, 1, 2, stateFD: file.Fd(), pipeFD: pipe.Fd()},
	})
	if err != nil {
		return 0, fmt.Errorf("fork and exec /proc/self/exe: %w", err)
	}
	return pid, nil
}

// setsid makes the middle process the leader of a new session, without a controlling terminal. The daemon it forks is
// no leader, so a terminal that the daemon opens cannot become its controlling terminal.
func setsid() error {
	//lab:begin session
	//lab:instead return nil
	if _, err := unix.Setsid(); err != nil {
		return fmt.Errorf("setsid: %w", err)
	}
	return nil
	//lab:end
}

// wait reaps the middle process. After it the daemon has its new parent, whoever looks.
func wait(pid int) error {
	//lab:begin orphan
	//lab:instead return nil
	for {
		_, err := unix.Wait4(pid, nil, 0, nil)
		if err != unix.EINTR {
			return os.NewSyscallError("wait4", err)
		}
	}
	//lab:end
}
