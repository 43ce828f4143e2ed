package procfs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FileID identifies a file whatever its name.
type FileID struct {
	Dev uint64 // device, as in stat(2)
	Ino uint64 // inode
}

// String returns device and inode as in /proc/locks: `fe:00:9978011`.
func (id FileID) String() string {
	return fmt.Sprintf("%02x:%02x:%d", unix.Major(id.Dev), unix.Minor(id.Dev), id.Ino)
}

// Descriptor is an open descriptor of a process.
type Descriptor struct {
	Number int
	Target string // what /proc/PID/fd/N points to: a path, `pipe:[6664]`, `/name` of a message queue
	ID     FileID // of the file itself, even if renamed or deleted
	Mode   uint32 // type and permissions, as in stat(2)
	Rdev   uint64 // device number, if the file is a device
	Flags  OpenFlags
	Locks  []Lock // held through this open file (FLOCK, OFDLCK), or on it by this process (POSIX)
}

// IsNull reports whether the descriptor is /dev/null, by whatever name or mount (null(4): character device 1:3).
func (d Descriptor) IsNull() bool {
	return d.Mode&unix.S_IFMT == unix.S_IFCHR && d.Rdev == unix.Mkdev(1, 3)
}

// String returns the descriptor on one line: `7 -> /tmp/planted O_RDWR (fe:00:4711)`.
func (d Descriptor) String() string {
	return fmt.Sprintf("%d -> %s %v (%v)", d.Number, d.Target, d.Flags, d.ID)
}

// Descriptors lists the process's open descriptors in ascending order, without those closed meanwhile.
func (p Process) Descriptors() ([]Descriptor, error) {
	p = p.living()
	nums, err := numbers(p.Path("fd"))
	if err = p.unlessEnded("fd", len(nums) == 0, err); err != nil {
		return nil, err
	}
	fds, err := living(nums, p.descriptor)
	if err == nil && len(fds) < len(nums) {
		_, err = p.Stat() // the process itself must not be gone
	}
	return fds, err
}

// Descriptor reads one descriptor. It does not open the file, so a FIFO, a terminal or a message queue is not
// disturbed.
func (p Process) Descriptor(n int) (Descriptor, error) { return p.living().descriptor(n) }

func (p Process) descriptor(n int) (Descriptor, error) {
	num := strconv.Itoa(n)
	target, err := os.Readlink(p.Path("fd", num))
	if err != nil {
		return Descriptor{}, err
	}
	var st unix.Stat_t
	if err := unix.Stat(p.Path("fd", num), &st); err != nil {
		return Descriptor{}, &os.PathError{Op: "stat", Path: p.Path("fd", num), Err: err}
	}
	d, err := load(p.Path("fdinfo", num), parseFDInfo)
	d.Number, d.Target, d.ID = n, target, FileID{st.Dev, st.Ino}
	d.Mode, d.Rdev = st.Mode, st.Rdev
	return d, err
}

// parseFDInfo parses /proc/PID/fdinfo/N. Lines specific to one kind of file have no common form and are skipped.
func parseFDInfo(text string) (d Descriptor, err error) {
	f := fields{values: map[string]string{}}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":\t")
		f.values[key] = value
		if key == "lock" {
			d.Locks = append(d.Locks, field(&f, key, parseLock))
		}
	}
	d.Flags = field(&f, "flags", parseFlags)
	return d, f.err
}

func parseFlags(value string) (OpenFlags, error) {
	bits, err := strconv.ParseUint(value, 8, 64)
	return OpenFlags(bits), err
}

// Lock is a lock on a file, or a wait for one.
type Lock struct {
	Waiting bool   // not held: blocked by the lock with the same number
	Kind    string // FLOCK (flock(2)), POSIX (fcntl(2) F_SETLK), OFDLCK (F_OFD_SETLK), LEASE, DELEG, ACCESS
	Access  string // READ, WRITE, UNLCK
	PID     int    // who took it, -1 for OFDLCK; an FLOCK can outlive it in a child
	File    FileID // zero for <none>
}

// Locks reads /proc/locks: the locks of all processes of the proc file system's PID namespace.
func (f FS) Locks() ([]Lock, error) { return load(filepath.Join(f.mount, "locks"), parseLocks) }

func parseLocks(text string) ([]Lock, error) { return table(text, parseLock) }

// parseLock parses the format of the kernel's lock_get_status, `1: FLOCK ADVISORY WRITE 708 00:13:13361 0 EOF`; a
// waiting lock has `->` before the kind.
func parseLock(line string) (l Lock, err error) {
	words := strings.Fields(line)
	if len(words) > 1 && words[1] == "->" {
		l.Waiting = true
		words = slices.Delete(words, 1, 2)
	}
	if len(words) != 8 {
		return l, errFields
	}
	l.Kind, l.Access = words[1], words[3]
	if l.PID, err = strconv.Atoi(words[4]); err == nil {
		l.File, err = parseFileID(words[5])
	}
	return l, err
}

// parseFileID parses major and minor in hexadecimal and the inode in decimal: `fe:00:9978011`.
func parseFileID(text string) (id FileID, err error) {
	if text == "<none>:0" {
		return FileID{}, nil
	}
	var major, minor uint32
	if _, err = fmt.Sscanf(text, "%x:%x:%d", &major, &minor, &id.Ino); err != nil {
		return FileID{}, fmt.Errorf("%q is not major:minor:inode", text)
	}
	id.Dev = unix.Mkdev(major, minor)
	return id, nil
}
