package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// connectStdio is step 7: nothing reads or writes the starter's terminal, files or pipes any more, and a stray write to
// stdout goes nowhere, rather than into whatever file has got number 1.
func connectStdio() error {
	//lab:begin stdio
	//lab:instead return nil
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/null: %w", err)
	}
	defer unix.Close(null)
	for fd := range 3 {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return fmt.Errorf("connect descriptor %d to /dev/null: %w", fd, err)
		}
	}
	return nil
	//lab:end
}

// resetUmask is step 7: files get exactly the modes passed to open(2), mkdir(2) and mq_open(3).
func resetUmask() {
	//lab:begin umask
	unix.Umask(0)
	//lab:end
}

// changeDirectory is step 7: the daemon keeps no file system busy.
func changeDirectory() error {
	//lab:begin cwd
	//lab:instead return nil
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("chdir /: %w", err)
	}
	return nil
	//lab:end
}
