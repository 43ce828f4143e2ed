package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

//lab:begin errors confine

// root is the served directory. It is held open, so renaming it or mounting over it does not change what is served.
type root struct {
	fd       int
	fallback *os.Root // resolves names where a seccomp filter refuses openat2(2), as systemd's RestrictSUIDSGID= does
}

// openRoot opens the directory as the account, which must have search permission.
func openRoot(dir string) (r root, err error) {
	if r.fd, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return r, fmt.Errorf("root %q: %w", dir, err)
	}
	err = unix.Faccessat(r.fd, ".", unix.X_OK, unix.AT_EACCESS)
	if err == nil {
		var probe int
		if probe, err = r.openat2(".", unix.O_PATH); err == nil {
			unix.Close(probe)
		} else {
			r.fallback, err = os.OpenRoot(dir)
		}
	}
	if err != nil {
		return r, fmt.Errorf("root %q: user %d cannot enter it: %w", dir, unix.Geteuid(), err)
	}
	return r, nil
}

// file is a regular file, open for reading.
type file struct {
	fd   int
	size int64 // bytes, when opened
}

// open opens a regular file below the root; a leading slash means the root. Nothing else is opened: even an open that
// is closed at once wakes a FIFO's writer. O_NONBLOCK is for a FIFO put there between check and open; it also makes a
// file under a lease fail with EAGAIN.
func (r root) open(path string) (f file, err error) {
	if path == "" {
		return f, errors.New("empty path")
	}
	name := strings.TrimLeft(path, "/")
	if name == "" {
		name = "."
	}
	if err := r.look(name); err != nil {
		return f, explain(err)
	}
	if f.fd, err = r.openNow(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY); err != nil {
		return f, explain(err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(f.fd, &st); err == nil {
		err = mustBeRegular(st.Mode)
	}
	f.size = st.Size
	if err == nil && f.size == 0 {
		err = f.mustBeEmpty()
	}
	if err != nil {
		f.close()
	}
	return f, err
}

// look refuses anything but a regular file, without opening it.
func (r root) look(name string) error {
	if r.fallback != nil {
		info, err := r.fallback.Stat(name)
		if err != nil {
			return err
		}
		return mustBeRegular(info.Sys().(*syscall.Stat_t).Mode)
	}
	var st unix.Stat_t
	if !strings.Contains(name, "/") { // cannot leave the root, and costs a third of openat2
		err := unix.Fstatat(r.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil && mustBeRegular(st.Mode) == nil {
			return nil
		}
	}
	fd, err := r.openat2(name, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	return mustBeRegular(st.Mode)
}

// openat2 has the kernel refuse every path that leaves the root, by "..", an absolute symbolic link or a concurrent
// rename. It reports renames during the walk as EAGAIN, as it does a lease.
func (r root) openat2(path string, flags int) (fd int, err error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	}
	for range 100 {
		if fd, err = unix.Openat2(r.fd, path, &how); err != unix.EINTR {
			break
		}
	}
	return fd, err
}

func (r root) openNow(name string, flags int) (int, error) {
	if r.fallback == nil {
		return r.openat2(name, flags)
	}
	f, err := r.fallback.OpenFile(name, flags, 0)
	if err != nil {
		return -1, err
	}
	defer f.Close()
	return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
}

func explain(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) { // from os.Root: the caller names the file
		err = pathErr.Err
	}
	switch {
	case errors.Is(err, unix.EXDEV):
		return reworded{"leads out of the served directory", err}
	case errors.Is(err, unix.ENXIO): // a socket, or a device without a driver
		return reworded{"not a regular file", err}
	}
	return err
}

// reworded is an error whose own text, such as "invalid cross-device link", would mislead.
type reworded struct {
	text string
	err  error
}

func (r reworded) Error() string { return r.text }
func (r reworded) Unwrap() error { return r.err }

func mustBeRegular(mode uint32) error {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		return unix.EISDIR
	case unix.S_IFIFO:
		return errors.New("not a regular file but a FIFO")
	case unix.S_IFSOCK:
		return errors.New("not a regular file but a socket")
	}
	return errors.New("not a regular file but a device")
}

// mustBeEmpty refuses files of /proc and the like, whose size is 0 although they have content.
func (f file) mustBeEmpty() error {
	n, err := unix.Pread(f.fd, make([]byte, 1), 0)
	if n > 0 {
		return errors.New("its file system does not report its size")
	}
	return err
}

// read reads at the offset, and nothing beyond the announced size. A file that ends earlier has shrunk.
func (f file) read(b []byte, offset int64) (n int, err error) {
	rest := f.size - offset
	if rest == 0 {
		return 0, nil
	}
	for {
		n, err = unix.Pread(f.fd, b[:min(int64(len(b)), rest)], offset)
		switch {
		case err == unix.EINTR:
		case err == nil && n == 0:
			return 0, errShrunk
		default:
			return max(n, 0), err
		}
	}
}

func (f file) close() { unix.Close(f.fd) }

//lab:end
