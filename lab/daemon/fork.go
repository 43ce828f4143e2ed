package daemon

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// fork is step 5. It forks the middle process, which forks the daemon, with the signal mask reset (step 3), nothing
// open but the standard streams, the configuration and the readiness pipe. It returns the PID of the middle process.
func fork(config []byte, pipe *os.File, env []string) (int, error) {
	sealed, err := sealedConfig(config)
	if err != nil {
		return 0, err
	}
	defer sealed.Close()
	p, err := newProgram(sealed, pipe, env)
	if err != nil {
		return 0, err
	}
	defer p.close()

	// A child has the attributes of the thread that forks it, so nothing may move this goroutine.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	//lab:begin sigmask
	old, err := resetMask()
	if err != nil {
		return 0, err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	//lab:end
	//lab:begin privileges
	if err := forbidNewPrivileges(); err != nil {
		return 0, err
	}
	//lab:end

	//lab:begin session orphan
	//lab:instead // One fork for a beginning, straight to the daemon.
	//lab:instead files := []uintptr{0, 1, 2, configFD: uintptr(p.config), pipeFD: uintptr(p.pipe)}
	//lab:instead pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{Env: env, Files: files})
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
