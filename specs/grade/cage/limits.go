package cage

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	maxProcesses = 512     // and threads of each user of a submission
	maxData      = 4 << 30 // bytes of memory of each of its processes: 256 stacks of 8 MiB are 2 GiB

	maxProcessesInAll = 2048
	maxMemoryInAll    = 3 << 30
	maxFile           = 16 << 30  // with its holes, as the specs have; what it takes is limited by maxFiles
	maxFiles          = 256 << 20 // bytes of all files of a submission
	maxOpen           = 4096
	maxSeconds        = 600 // of processor time of each process
)

// limit sets what holds for every process of the cage. What the submission may take is less by the orders of [Confine],
// so that the judge's processes still start when it has taken all of it.
func (o orders) limit() error {
	for resource, value := range map[int]uint64{
		unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: maxFile, unix.RLIMIT_NOFILE: maxOpen, unix.RLIMIT_CPU: maxSeconds,
		unix.RLIMIT_NPROC: maxProcessesInAll,
	} {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return fmt.Errorf("getrlimit %d: %w", resource, err)
		}
		value = min(value, now.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("setrlimit %d: %w", resource, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_NO_NEW_PRIVS: %w", err)
	}
	return nil
}
