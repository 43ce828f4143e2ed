package procfs

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock is a lock on a file, or a wait for one.
type Lock struct {
	Waiting bool   // not held: blocked by the lock of the same number
	Kind    string // FLOCK (flock(2)), POSIX (fcntl(2) F_SETLK), OFDLCK (F_OFD_SETLK), LEASE, DELEG, ACCESS
	Access  string // READ, WRITE, UNLCK
	PID     int    // who took it, -1 for OFDLCK; an FLOCK can outlive it in a child
	File    FileID // zero for <none>
}

// Locks reads /proc/locks: the locks of all processes of the proc file system's PID namespace.
func (f FS) Locks() ([]Lock, error) { return load(filepath.Join(f.mount, "locks"), ParseLocks) }

// ParseLocks parses /proc/locks.
func ParseLocks(r io.Reader) ([]Lock, error) { return table("locks", r, parseLock) }

// parseLock parses what the kernel's lock_get_status writes, `1: FLOCK  ADVISORY  WRITE 708 00:13:13361 0 EOF`, where
// a lock that waits has `->` before the kind.
func parseLock(line string) (l Lock, err error) {
	words := strings.Fields(line)
	if len(words) > 1 && words[1] == "->" {
		l.Waiting = true
		words = append(words[:1], words[2:]...)
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

// parseFileID parses hexadecimal major and minor and decimal inode: `fe:00:9978011`.
func parseFileID(s string) (FileID, error) {
	if s == "<none>:0" {
		return FileID{}, nil
	}
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return FileID{}, fmt.Errorf("%q is not major:minor:inode", s)
	}
	var numbers [3]uint64
	for i, base := range []int{16, 16, 10} {
		var err error
		if numbers[i], err = strconv.ParseUint(parts[i], base, 64); err != nil {
			return FileID{}, err
		}
	}
	return FileID{unix.Mkdev(uint32(numbers[0]), uint32(numbers[1])), numbers[2]}, nil
}
