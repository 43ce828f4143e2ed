package daemon

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// fork is step 5. It forks the middle process, which forks the daemon, with the signal mask reset (step 3) and nothing
// open but the standard streams, the configuration and the readiness pipe. It returns the PID of the middle process.
func fork(config, pipe *os.File, env []string) (int, error) {
	p, err := newProgram(config, pipe, env)
	if err != nil {
		return 0, err
	}
	defer p.close()

	// A child inherits the attributes of the thread that forks it, so this goroutine must not move.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	//lab:begin sigmask
	old, err := resetMask()
	if err != nil {
		return 0, err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	//lab:end
	//lab:begin
	if err := forbidNewPrivileges(); err != nil {
		return 0, err
	}
	if err := leaveSessionKeyring(); err != nil {
		return 0, err
	}
	//lab:end

	//lab:begin session orphan
	//lab:instead // One fork for a beginning, straight to the daemon.
	//lab:instead files := []uintptr{0, 1, 2, configFD: uintptr(p.config), pipeFD: uintptr(p.pipe)}
	//lab:instead // In a session of its own: SIGHUP would end it when the original goes.
	//lab:instead own := &syscall.SysProcAttr{Setsid: true}
	//lab:instead pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{Env: env, Files: files, Sys: own})
	//lab:instead if err != nil {
	//lab:instead 	return 0, err
	//lab:instead }
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	pid, errno := forkMiddle(p)
	if errno != 0 {
		return 0, fmt.Errorf("fork: %w", errno)
	}
	//lab:end
	runtime.KeepAlive(p)
	return pid, nil
}

//lab:begin

// leaveSessionKeyring gives root's daemon a session keyring of its own, see session-keyring(7): the account that it
// becomes must not read the keys of root's login. The keyring is per thread and passes to its children. Kernels without
// CONFIG_KEYS have none, and containers forbid keyctl(2).
func leaveSessionKeyring() error {
	if os.Geteuid() != 0 {
		return nil
	}
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)
	if err != nil && err != unix.ENOSYS && err != unix.EPERM {
		return fmt.Errorf("keyctl KEYCTL_JOIN_SESSION_KEYRING: %w", err)
	}
	return nil
}

//lab:end

// wait reaps the middle process. Once it returns, the daemon has its new parent.
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
