//lab:give

package daemon

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Options are the options of [Start].
type Options struct {
	// Config is a struct whose exported fields reach the daemon byte for byte, as up to 1 MiB of encoding/gob, see
	// [Daemon.Config]. File names in it must be absolute: the daemon's working directory is /.
	Config any
	// Unmake removes what the daemon reported with [Daemon.Made], after a start that failed: the daemon may have been
	// killed, or have dropped the privileges to remove it. It must leave alone what is somebody else's by now. It runs
	// in the original process; nil does nothing.
	Unmake func(name string)
}

// Start runs in the original process. It starts the daemon and returns nil when the daemon is ready, or the reason once
// it is gone. The caller then exits, which is step 8. The process is of no other use afterwards: its descriptors are
// marked close-on-exec and its ignored signals are no longer ignored.
func Start(o Options) error {
	if err := checkNamespace(); err != nil {
		return err
	}
	var config bytes.Buffer
	if err := gob.NewEncoder(&config).Encode(o.Config); err != nil {
		return fmt.Errorf("encode the daemon's configuration: %w", err)
	}
	// Not os.Pipe: if no descriptor is left for Go's poller, the runtime ends the process with a stack.
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	reader, writer := os.NewFile(uintptr(ends[0]), "readiness pipe"), os.NewFile(uintptr(ends[1]), "readiness pipe")
	defer reader.Close()
	if err := startMiddle(config.Bytes(), writer); err != nil {
		return err
	}
	made, err := readOutcome(reader)
	if err != nil && o.Unmake != nil {
		for _, name := range made {
			o.Unmake(name)
		}
	}
	return err
}

// checkNamespace returns an error if the daemon could not outlive this process, or if /proc/self is not this process.
func checkNamespace() error {
	pid := os.Getpid()
	self, err := os.Readlink("/proc/self")
	switch {
	case pid == 1:
		return errors.New("PID 1 cannot start a daemon: when it exits, the kernel kills its whole PID namespace")
	case err != nil:
		return fmt.Errorf("/proc belongs to another PID namespace: %w", err)
	case self != strconv.Itoa(pid):
		return fmt.Errorf("/proc belongs to another PID namespace: this is PID %d here, and %s there", pid, self)
	}
	return nil
}

// startMiddle runs steps 1 to 5 in the original and waits for the middle process to exit (step 6).
func startMiddle(config []byte, pipe *os.File) error {
	defer pipe.Close()
	sealed, err := sealedConfig(config)
	if err != nil {
		return err
	}
	defer sealed.Close()
	if err := closeDescriptors(); err != nil {
		return err
	}
	if err := resetDispositions(); err != nil {
		return err
	}
	pid, err := fork(sealed, pipe, cleanEnvironment(os.Environ()))
	if err != nil {
		return err
	}
	return wait(pid)
}
