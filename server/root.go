package main

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

//lab:begin errors confine

// root is the served directory, held open: renaming it or mounting over it does not change what is served.
type root struct {
	fd int
}

// openRoot opens the directory as the user that the daemon has become, who must be able to enter it.
func openRoot(dir string) (*root, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("root %s: %w", dir, err)
	}
	if err := unix.Faccessat(fd, ".", unix.X_OK, unix.AT_EACCESS); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("root %s: user %d cannot enter it: %w", dir, unix.Geteuid(), err)
	}
	return &root{fd: fd}, nil
}

func (r *root) close() {
	unix.Close(r.fd)
}

// file is an open regular file, or noFile.
type file struct {
	fd   int
	size int64 // bytes, when it was opened
}

var noFile = file{fd: -1}

// open opens a regular file below the root for reading. A leading slash means the root. RESOLVE_BENEATH has the kernel
// refuse every path that leaves the directory on its way, by "..", by an absolute symbolic link or by a rename at the
// same time. O_NONBLOCK keeps a FIFO without a writer from stopping the thread, O_NOCTTY a terminal from becoming ours.
func (r *root) open(path string) (file, error) {
	if path == "" {
		return noFile, errors.New("empty path")
	}
	fd, err := r.openat2(beneath(path), &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return noFile, openError(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return noFile, err
	}
	if err := mustBeRegular(st.Mode); err != nil {
		unix.Close(fd)
		return noFile, err
	}
	return file{fd: fd, size: st.Size}, nil
}

// readAt reads at the offset; a file that ends there has become shorter than it was.
func (f file) readAt(b []byte, offset int64) (int, error) {
	for {
		n, err := unix.Pread(f.fd, b, offset)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, errShrunk
		default:
			return n, nil
		}
	}
}

func (f file) close() {
	if f != noFile {
		unix.Close(f.fd)
	}
}

// openat2 tries again when somebody renames directories while the kernel walks the path, which it reports as EAGAIN.
func (r *root) openat2(path string, how *unix.OpenHow) (fd int, err error) {
	for range 100 {
		fd, err = unix.Openat2(r.fd, path, how)
		if err != unix.EAGAIN && err != unix.EINTR {
			break
		}
	}
	return fd, err
}

func beneath(path string) string {
	path = strings.TrimLeft(path, "/")
	if path == "" {
		return "."
	}
	return path
}

func openError(err error) error {
	switch err {
	case unix.EXDEV:
		return fmt.Errorf("leads out of the served directory: %w", err)
	case unix.ENXIO: // a socket, or a device without a driver
		return fmt.Errorf("not a regular file: %w", err)
	}
	return err
}

func mustBeRegular(mode uint32) error {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		return unix.EISDIR
	case unix.S_IFIFO:
		return errors.New("not a regular file but a FIFO")
	}
	return errors.New("not a regular file but a device")
}

//lab:end
