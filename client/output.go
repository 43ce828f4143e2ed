package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"daemonlab/lab/stdio"
)

// output is where the file's bytes go.
type output struct {
	file *os.File
	path string // as the user wrote it

	// A new file is made in dir under a temporary name, which left knows, and gets its own at the end.
	name string // "" when the bytes go straight to their destination
	dir  int    // descriptor
	left *leftovers
}

// openOutput opens stdout for "", else path. An existing device or FIFO is written to directly. A regular file is
// created beside path and replaces it when complete.
func openOutput(path string, left *leftovers) (*output, error) {
	if path == "" || path == "/dev/stdout" { // not reopened: it may be a socket, or a file that others write to
		return &output{file: os.Stdout, path: "stdout"}, stdio.CheckStdout()
	}
	out := &output{path: path, left: left}
	// The kernel resolves the path, so it can refuse a link that somebody planted in /tmp (protected_symlinks,
	// proc(5)).
	old, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return out, out.create(path, nil)
	}
	if err != nil {
		return nil, out.failed("open", err)
	}
	info, err := old.Stat()
	if err != nil || !info.Mode().IsRegular() {
		out.file = old
		return out, out.failed("stat", err)
	}
	defer old.Close()
	place, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, out.failed("open", err)
	}
	return out, out.create(place, info.Sys().(*syscall.Stat_t))
}

// create makes the file under a unique name. If it replaces a file, it has that one's mode before it has any contents.
// From here on the directory is known by its descriptor, and its entry is replaced as it is, so no link made meanwhile
// can redirect it.
func (o *output) create(place string, replaced *syscall.Stat_t) (err error) {
	var dir string
	dir, o.name = filepath.Split(place)
	if o.dir, err = unix.Open(cmp.Or(dir, "."), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return o.failed("open the directory of", err)
	}
	if !o.unchanged(replaced) {
		return o.failed("replace", errors.New("a dangling symbolic link, or one that changed meanwhile"))
	}
	perm := uint32(0o666)
	if replaced != nil {
		perm = 0o600
	}
	o.left.Lock()
	defer o.left.Unlock()
	temporary := "." + uniqueName()
	fd, err := unix.Openat(o.dir, temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, perm)
	if err != nil {
		return o.failed("make a file beside", err)
	}
	o.file, o.left.dir, o.left.file = os.NewFile(uintptr(fd), temporary), o.dir, temporary
	if replaced == nil {
		return nil
	}
	return o.failed("chmod", unix.Fchmod(fd, replaced.Mode&0o777))
}

// unchanged reports whether the directory's entry is still the file opened before, or still absent.
func (o *output) unchanged(opened *syscall.Stat_t) bool {
	var present unix.Stat_t
	err := unix.Fstatat(o.dir, o.name, &present, unix.AT_SYMLINK_NOFOLLOW)
	if opened == nil {
		return err == unix.ENOENT
	}
	return err == nil && present.Dev == opened.Dev && present.Ino == opened.Ino
}

// Write writes the next bytes of the file.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.file.Write(p)
	return n, o.failed("write", err)
}

// commit makes sure that the bytes were written, which some file systems report only now, and are on disk before the
// file has its name: after a power cut it is there whole or not at all.
func (o *output) commit() error {
	if o.name != "" {
		if err := o.file.Sync(); err != nil {
			return o.failed("fsync", err)
		}
	}
	if err := o.file.Close(); err != nil || o.name == "" {
		return o.failed("close", err)
	}
	o.left.Lock()
	defer o.left.Unlock()
	if err := unix.Renameat(o.dir, o.left.file, o.dir, o.name); err != nil {
		return o.failed("rename", err)
	}
	o.left.file = ""
	return nil
}

// failed names the user's file instead of the temporary one.
func (o *output) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return &os.PathError{Op: op, Path: o.path, Err: err}
}
