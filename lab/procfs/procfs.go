// Package procfs reads the facts of a process from proc(5) as typed values.
//
// Every parser is strict: what it cannot parse is an error that names the file and the line or field; no value is
// silently omitted. Kernel units (kB, octal, clock ticks) are converted, or named in the field's comment.
//
// Reading never disturbs the process: it is neither traced nor stopped, and none of its files are opened. So a process
// may change between two reads; take facts that must agree from one call. If a process ends while being read, the
// error is one that [Gone] recognizes.
//
// Facts behind ptrace(2)'s access check (descriptors, environment, links) need the same user and a dumpable process, or
// CAP_SYS_PTRACE.
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
	"strings"

	"golang.org/x/sys/unix"

	_ "daemonlab/lab/only64"
)

// FS is a mounted proc file system, or a directory laid out like one.
type FS struct{ mount string }

// New returns the proc file system mounted at mount, usually "/proc".
func New(mount string) FS { return FS{mount} }

// Process is one process of an [FS]. It holds nothing open: if the PID is reused, later calls describe the newcomer.
type Process struct {
	pid int
	dir string
}

// Process returns the process pid, whether or not it exists.
func (f FS) Process(pid int) Process {
	return Process{pid, filepath.Join(f.mount, strconv.Itoa(pid))}
}

// PID returns the PID given to [FS.Process].
func (p Process) PID() int { return p.pid }

// Path returns the path of one of the process's files, for reports: /proc/4711/status.
func (p Process) Path(elem ...string) string {
	return filepath.Join(append([]string{p.dir}, elem...)...)
}

// Cwd returns the working directory as seen from the process's root; ` (deleted)` follows if it was removed.
func (p Process) Cwd() (string, error) { return p.link("cwd") }

// Exe returns the executable; ` (deleted)` follows if it was removed.
func (p Process) Exe() (string, error) { return p.link("exe") }

func (p Process) link(name string) (string, error) {
	p = p.living()
	target, err := os.Readlink(p.Path(name))
	return target, p.unlessEnded(name, false, err)
}

// Environ reads /proc/PID/environ: the environment that the last exec gave the process. A program that has changed its
// variables, or forked and cleaned up without exec, still shows this block; see [Process.LiveEnviron]. An entry may be
// empty or have no `=`.
func (p Process) Environ() ([]string, error) {
	p = p.living()
	block, err := os.ReadFile(p.Path("environ"))
	err = p.unlessEnded("environ", len(block) == 0, err)
	if err != nil || len(block) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(block), "\x00"), "\x00"), nil
}

// Tasks reads the Status of every thread, leaving out those that end meanwhile. The thread-group leader, whose Pid is
// the process's, stays in the list even when it ends before the others.
func (p Process) Tasks() ([]Status, error) {
	tids, err := numbers(p.Path("task"))
	if err != nil {
		return nil, err
	}
	return living(tids, func(tid int) (Status, error) {
		return load(p.Path("task", strconv.Itoa(tid), "status"), parseStatus)
	})
}

// Stats returns the Stat of every process, leaving out those that end meanwhile.
func (f FS) Stats() ([]Stat, error) {
	pids, err := numbers(f.mount)
	if err != nil {
		return nil, err
	}
	return living(pids, func(pid int) (Stat, error) { return f.Process(pid).Stat() })
}

// Children returns the Stat of every child of pid, zombies included. It checks every process's parent, since
// task/TID/children exists only with CONFIG_PROC_CHILDREN and is unreliable unless the children are stopped (proc(5)).
func (f FS) Children(pid int) ([]Stat, error) {
	all, err := f.Stats()
	return slices.DeleteFunc(all, func(s Stat) bool { return s.PPid != pid }), err
}

// Gone reports whether err means that the process, thread or descriptor no longer exists: ENOENT on opening its
// directory, ESRCH on reading a file opened before.
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// living returns the process as seen through a living thread. When the main thread calls pthread_exit(3) it becomes a
// zombie, and what threads share can no longer be read through it, but the process lives on. Other threads have
// directories like processes, which no listing shows (proc(5)).
func (p Process) living() Process {
	if s, err := p.Stat(); err != nil || !s.State.Ended() {
		return p
	}
	tasks, _ := p.Tasks()
	for _, t := range tasks {
		if !t.State.Ended() {
			return Process{p.pid, filepath.Join(filepath.Dir(p.dir), strconv.Itoa(t.Pid))}
		}
	}
	return p
}

// Ended reports whether the process has ended. A zombie has, unless other threads of it are alive; it is just not
// reaped yet.
func (p Process) Ended() (bool, error) {
	s, err := p.living().Stat()
	if Gone(err) {
		return true, nil
	}
	return err == nil && s.State.Ended(), err
}

// unlessEnded returns ESRCH for the kernel's answers about a zombie, whose memory and descriptors are gone: an empty
// file, or EACCES for an ordinary user.
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

// living calls read for each number and skips those that are gone by then.
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

// numbers lists the entries of dir that are numbers, ascending.
func numbers(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var nums []int
	for _, entry := range entries {
		if n, err := strconv.Atoi(entry.Name()); err == nil {
			nums = append(nums, n)
		}
	}
	slices.Sort(nums)
	return nums, nil
}

// load reads and parses a file; errors name it.
func load[T any](path string, parse func(text string) (T, error)) (v T, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	if v, err = parse(string(text)); err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return v, err
}

// table parses a file with one value per line.
func table[T any](text string, parse func(line string) (T, error)) (rows []T, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		row, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", len(rows)+1, line, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// fields holds the values of a one-record file by name, and the first conversion error.
type fields struct {
	values map[string]string
	err    error
}

// field converts the value with the given name.
func field[T any](f *fields, name string, parse func(string) (T, error)) (v T) {
	value, ok := f.values[name]
	err := errMissing
	if ok {
		v, err = parse(value)
	}
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("%s: %.200q: %w", name, value, err)
	}
	return v
}

var (
	errMissing = errors.New("missing")
	errFields  = errors.New("wrong number of fields")
)
