package procfs

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock is a lock on a file, or a wait for one.
type Lock struct {
	ID      int64
	Waiting bool   // not held: blocked by the lock of the same ID
	Kind    string // FLOCK (flock(2)), POSIX (fcntl(2) F_SETLK), OFDLCK (F_OFD_SETLK), LEASE, DELEG, ACCESS
	State   string // ADVISORY; ACTIVE, BREAKING or BREAKER for leases; *NOINODE*
	Access  string // READ, WRITE, UNLCK
	PID     int    // who took it, -1 for OFDLCK; an FLOCK can outlive it in a child
	File    FileID // zero for <none>
	Start   int64  // first byte
	End     int64  // last byte; math.MaxInt64 for EOF
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
	l.Kind, l.State, l.Access = words[1], words[2], words[3]
	id, ok := strings.CutSuffix(words[0], ":")
	if !ok {
		return l, errors.New("no colon after the lock's number")
	}
	l.ID, err = strconv.ParseInt(id, 10, 64)
	if err == nil {
		l.PID, err = decimal(words[4])
	}
	if err == nil {
		l.File, err = parseFileID(words[5])
	}
	if err == nil {
		l.Start, l.End, err = parseRange(words[6], words[7])
	}
	return l, err
}

// parseFileID parses hexadecimal major and minor and decimal inode: `fe:00:9978011`.
func parseFileID(s string) (FileID, error) {
	if s == "<none>:0" {
		return FileID{}, nil
	}
	dev, inode, _ := cutLast(s, ":")
	d, err := parseDevice(dev)
	if err != nil {
		return FileID{}, err
	}
	ino, err := strconv.ParseUint(inode, 10, 64)
	return FileID{d, ino}, err
}

// parseDevice parses a device number in hexadecimal: `fe:00`.
func parseDevice(s string) (uint64, error) {
	major, minor, ok := strings.Cut(s, ":")
	if !ok {
		return 0, fmt.Errorf("%q is not major:minor", s)
	}
	maj, err := strconv.ParseUint(major, 16, 32)
	if err != nil {
		return 0, err
	}
	mnr, err := strconv.ParseUint(minor, 16, 32)
	return unix.Mkdev(uint32(maj), uint32(mnr)), err
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func parseRange(first, last string) (start, end int64, err error) {
	if start, err = strconv.ParseInt(first, 10, 64); err != nil {
		return 0, 0, err
	}
	if last == "EOF" {
		return start, math.MaxInt64, nil
	}
	end, err = strconv.ParseInt(last, 10, 64)
	return start, end, err
}
