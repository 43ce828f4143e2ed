package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// output is where the file's bytes go.
type output struct {
	file   *os.File
	name   string     // as the user knows it
	target string     // what a new file is renamed to at the end; "" when the bytes go straight to their place
	left   *leftovers // knows the new file until then
}

// openOutput opens stdout for "", else what path names. An existing device or FIFO is written through, and so is a
// descriptor of our own, as /dev/stdout; a regular file is made anew beside path and takes its place when it is
// complete.
func openOutput(path string, left *leftovers) (*output, error) {
	if path == "" {
		return &output{file: os.Stdout, name: "stdout"}, nil
	}
	target := followLinks(path)
	if fd, ok := descriptor(target); ok {
		return duplicate(fd, path)
	}
	out := &output{name: path, target: target, left: left}
	// By its own name, so that the kernel may refuse a link that somebody planted in /tmp (protected_symlinks, proc(5)).
	old, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return out, out.create(nil)
	}
	if err != nil {
		return nil, out.failed("open", err)
	}
	info, err := old.Stat()
	if err != nil {
		return nil, out.failed("stat", err)
	}
	if !info.Mode().IsRegular() {
		return &output{file: old, name: path}, nil
	}
	old.Close()
	return out, out.create(info)
}

// followLinks is where a symbolic link leads, which need not exist, so that a link stays one when a file is renamed to
// its place. Path stays as it is when it is no link. A descriptor's link in /proc is not followed.
func followLinks(path string) string {
	for range 40 { // as many as the kernel follows, path_resolution(7)
		if _, ok := descriptor(path); ok {
			break
		}
		link, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(link) {
			link = directory(path) + link
		}
		path = link
	}
	return path
}

// directory is the part of path up to its last slash. Nothing is cleaned away: a/.. is not always here.
func directory(path string) string { return path[:strings.LastIndexByte(path, '/')+1] }

// descriptor tells whether path is one of our own descriptors, as /dev/fd/1 is. What it leads to is open already, may
// be a socket, which cannot be opened, or a file that others write to, which must keep its place.
func descriptor(path string) (fd int, ok bool) {
	fd, err := strconv.Atoi(filepath.Base(path))
	if err != nil {
		return 0, false
	}
	own, err := os.Stat("/proc/self/fd")
	if err != nil {
		return 0, false
	}
	dir, err := os.Stat(directory(path) + ".")
	return fd, err == nil && os.SameFile(own, dir)
}

func duplicate(fd int, name string) (*output, error) {
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return &output{file: os.NewFile(uintptr(fd), name), name: name}, nil
}

// create makes the file, under a name that no other program uses. It has the mode of the one it replaces, if it
// replaces one, before it has any contents.
func (o *output) create(replaced fs.FileInfo) error {
	perm := fs.FileMode(0o666)
	if replaced != nil {
		perm = 0o600
	}
	temporary := directory(o.target) + "." + uniqueName()
	err := o.left.makeFile(temporary, func() (err error) {
		o.file, err = os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		return err
	})
	if err != nil || replaced == nil {
		return o.failed("make a file beside", err)
	}
	return o.failed("chmod", o.file.Chmod(replaced.Mode().Perm()))
}

func (o *output) write(p []byte) error {
	_, err := o.file.Write(p)
	return o.failed("write", err)
}

// commit makes sure that the bytes were taken, which some file systems tell only now, and gives the file its name.
func (o *output) commit() error {
	if err := o.file.Close(); err != nil {
		return o.failed("close", err)
	}
	if o.target == "" {
		return nil
	}
	return o.failed("rename", o.left.placeFile(o.target))
}

// failed names the user's file instead of the one beside it.
func (o *output) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return &os.PathError{Op: op, Path: o.name, Err: err}
}
