package procfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FileID names a file whatever it is called.
type FileID struct {
	Dev uint64 // device, as in stat(2)
	Ino uint64 // inode
}

// String is device and inode as /proc/locks has them: `fe:00:9978011`.
func (id FileID) String() string {
	return fmt.Sprintf("%02x:%02x:%d", unix.Major(id.Dev), unix.Minor(id.Dev), id.Ino)
}

// FDInfo is /proc/PID/fdinfo/N.
type FDInfo struct {
	Flags OpenFlags
	Locks []Lock // held through this open file (FLOCK, OFDLCK), or on it by this process (POSIX)
}

// Descriptor is an open descriptor of a process.
type Descriptor struct {
	Number int
	Target string // what /proc/PID/fd/N points to: a path, `pipe:[6664]`, `/name` of a message queue
	ID     FileID // of the file itself, even when it was renamed or deleted
	Mode   uint32 // type and permissions, as in stat(2)
	Rdev   uint64 // the device, when the file is one
	FDInfo
}

// IsNull reports whether the descriptor is /dev/null, by whatever name or mount (null(4): character device 1:3).
func (d Descriptor) IsNull() bool {
	return d.Mode&unix.S_IFMT == unix.S_IFCHR && d.Rdev == unix.Mkdev(1, 3)
}

// String is the descriptor on one line: `7 -> /tmp/planted O_RDWR (fe:00:4711)`.
func (d Descriptor) String() string {
	return fmt.Sprintf("%d -> %s %v (%v)", d.Number, d.Target, d.Flags, d.ID)
}

// Descriptors lists what the process has open, by ascending number, leaving out descriptors closed meanwhile.
func (p Process) Descriptors() ([]Descriptor, error) {
	nums, err := numbers(p.Path("fd"), false)
	if err = p.unlessEnded("fd", len(nums) == 0, err); err != nil {
		return nil, err
	}
	fds, err := living(nums, p.Descriptor)
	if err == nil && len(fds) < len(nums) {
		_, err = p.Stat() // the process itself must not be what is gone
	}
	return fds, err
}

// Descriptor reads one descriptor. The file is not opened, so a FIFO, a terminal or a message queue is not disturbed.
func (p Process) Descriptor(n int) (Descriptor, error) {
	num := strconv.Itoa(n)
	target, err := os.Readlink(p.Path("fd", num))
	if err != nil {
		return Descriptor{}, err
	}
	var st unix.Stat_t
	if err := unix.Stat(p.Path("fd", num), &st); err != nil {
		return Descriptor{}, &os.PathError{Op: "stat", Path: p.Path("fd", num), Err: err}
	}
	info, err := load(p.Path("fdinfo", num), ParseFDInfo)
	return Descriptor{n, target, FileID{st.Dev, st.Ino}, st.Mode, st.Rdev, info}, err
}

// ParseFDInfo parses /proc/PID/fdinfo/N. What a kind of file adds has no common form and is passed over.
func ParseFDInfo(r io.Reader) (FDInfo, error) {
	var info FDInfo
	complete := false
	err := eachLine("fdinfo", r, func(line string) error {
		switch key, value, _ := strings.Cut(line, ":\t"); key {
		case "flags":
			bits, err := strconv.ParseUint(value, 8, 64)
			info.Flags, complete = OpenFlags(bits), true
			return err
		case "lock":
			lock, err := parseLock(value)
			info.Locks = append(info.Locks, lock)
			return err
		}
		return nil
	})
	if err == nil && !complete {
		err = fileError("fdinfo", errors.New("no flags"))
	}
	return info, err
}
