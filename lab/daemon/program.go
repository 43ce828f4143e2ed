//lab:give

package daemon

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Numbers of the daemon's two descriptors.
const (
	configFD = 3
	pipeFD   = 4
)

// program is what the daemon is executed with, in the form that system calls take: nothing can be allocated between
// fork and exec.
type program struct {
	path         *byte
	argv, envv   []*byte // each terminated by nil
	config, pipe int     // above pipeFD, so that neither gets in the way of the other
	failure      [len(lineFailed)]byte
}

// newProgram makes copies of the descriptors; close closes them.
func newProgram(config, pipe *os.File, env []string) (p *program, err error) {
	p = &program{config: -1, pipe: -1}
	copy(p.failure[:], lineFailed)
	if p.path, err = unix.BytePtrFromString("/proc/self/exe"); err != nil {
		return nil, err
	}
	if p.argv, err = syscall.SlicePtrFromStrings(os.Args); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	if p.envv, err = syscall.SlicePtrFromStrings(env); err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	if p.config, err = unix.FcntlInt(config.Fd(), unix.F_DUPFD_CLOEXEC, pipeFD+1); err != nil {
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	if p.pipe, err = unix.FcntlInt(pipe.Fd(), unix.F_DUPFD_CLOEXEC, pipeFD+1); err != nil {
		unix.Close(p.config)
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	return p, nil
}

func (p *program) close() {
	unix.Close(p.config)
	unix.Close(p.pipe)
}
