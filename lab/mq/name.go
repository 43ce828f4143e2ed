//go:build linux

package mq

import (
	"strings"

	"golang.org/x/sys/unix"
)

const (
	nameMax = 255  // bytes after the slash: NAME_MAX, the kernel's limit for an entry of a directory
	pathMax = 4096 // PATH_MAX, with the NUL that ends a name
)

// CheckName returns, without a system call, the result that [Open] would give for the name: nil, or an *[Error] with
// EINVAL (no leading slash, or a NUL byte), ENOENT (nothing after the slash), EACCES (another slash, or the names . and
// ..) or ENAMETOOLONG (more than 255 bytes after the slash). All other bytes are valid, even spaces and newlines.
func CheckName(name string) error {
	if errno := checkName(name); errno != 0 {
		return newError("open", name, errno)
	}
	return nil
}

func checkName(name string) unix.Errno {
	short, errno := kernelName(name)
	switch {
	case errno != 0:
		return errno
	case short == "":
		return unix.ENOENT
	case len(short) >= pathMax:
		return unix.ENAMETOOLONG
	case short == "." || short == ".." || strings.Contains(short, "/"):
		return unix.EACCES
	case len(short) > nameMax:
		return unix.ENAMETOOLONG
	}
	return 0
}

// kernelName strips the slash: mq_open(3) requires it, mq_open(2) rejects it. The kernel checks the rest.
func kernelName(name string) (string, unix.Errno) {
	short, slash := strings.CutPrefix(name, "/")
	if !slash || strings.IndexByte(short, 0) >= 0 {
		return "", unix.EINVAL
	}
	return short, 0
}
