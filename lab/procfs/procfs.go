// Package procfs reads the facts of a process from proc(5) as typed values.
//
// Every parser is strict: a line it cannot read is a [ParseError] naming file and line, never a value silently left
// out. Kernel units (kB, octal, clock ticks) are converted or named in the field's comment.
//
// Reading never disturbs the process: nothing is attached to or stopped, and no descriptor of it is opened. So a
// process may change between two reads; take facts that must agree from one call. A process that ends while being
// read gives an error that [Gone] recognizes.
//
// Facts behind ptrace(2)'s access check (descriptors, environment, links, maps) need the same user and a dumpable
// process, or CAP_SYS_PTRACE.
package procfs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	_ "daemonlab/lab/only64"
)

// FS is a mounted proc file system, or a directory laid out like one.
type FS struct{ mount string }

// New returns the proc file system mounted at mount, usually "/proc".
func New(mount string) FS { return FS{mount} }

// Process is one process of an [FS]. It holds nothing open: should the PID be reused, later calls describe the newcomer.
type Process struct {
	pid int
	dir string
}

// Process returns the process pid, whether or not it exists.
func (f FS) Process(pid int) Process {
	return Process{pid, filepath.Join(f.mount, strconv.Itoa(pid))}
}

// PID returns the number by which the process was asked for.
func (p Process) PID() int { return p.pid }

// Path returns the name of one of the process's files, for reports: /proc/4711/status.
func (p Process) Path(elem ...string) string {
	return filepath.Join(append([]string{p.dir}, elem...)...)
}

// Gone reports whether err means that the process, thread or descriptor does not exist any more: ENOENT when its
// directory is opened, ESRCH when a file opened before is read.
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// Ended reports whether the process has ended. A zombie has: only its parent's wait(2) is missing.
func (p Process) Ended() (bool, error) {
	s, err := p.Stat()
	if Gone(err) {
		return true, nil
	}
	return err == nil && s.State.Ended(), err
}

// unlessEnded makes ESRCH of the ways in which the kernel answers for a zombie, whose memory and descriptors are gone:
// an empty file, or EACCES for an ordinary user.
func (p Process) unlessEnded(file string, empty bool, err error) error {
	if Gone(err) || err == nil && !empty {
		return err
	}
	ended, statErr := p.Ended()
	if ended {
		return fmt.Errorf("%s: %w", p.Path(file), unix.ESRCH)
	}
	return cmp.Or(err, statErr)
}

// PIDs lists the processes that exist, in ascending order.
func (f FS) PIDs() ([]int, error) { return numbers(f.mount, true) }

// Stats returns the Stat of every process, leaving out those that end meanwhile.
func (f FS) Stats() ([]Stat, error) {
	pids, err := f.PIDs()
	if err != nil {
		return nil, err
	}
	return living(pids, func(pid int) (Stat, error) { return f.Process(pid).Stat() })
}

// Children returns the Stat of every child of pid, zombies included. It looks at each process's parent, for
// task/TID/children exists only with CONFIG_PROC_CHILDREN and is unreliable unless the children are stopped (proc(5)).
func (f FS) Children(pid int) ([]Stat, error) {
	all, err := f.Stats()
	return slices.DeleteFunc(all, func(s Stat) bool { return s.PPid != pid }), err
}

// living calls read for each number and leaves out what is gone by then.
func living[T any](nums []int, read func(int) (T, error)) ([]T, error) {
	found := make([]T, 0, len(nums))
	for _, n := range nums {
		v, err := read(n)
		switch {
		case err == nil:
			found = append(found, v)
		case !Gone(err):
			return nil, err
		}
	}
	return found, nil
}

// numbers lists the entries of dir that are numbers, ascending. Other names are an error unless mixed.
func numbers(dir string, mixed bool) ([]int, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var nums []int
	for _, name := range names {
		n, err := strconv.ParseUint(name, 10, 31)
		if err == nil {
			nums = append(nums, int(n))
		} else if !mixed {
			return nil, fmt.Errorf("%s: entry %q is not a number", dir, name)
		}
	}
	slices.Sort(nums)
	return nums, nil
}
