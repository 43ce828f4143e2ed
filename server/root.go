package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

//lab:begin errors confine

// root is the served directory, held open: renaming it or mounting over it does not change what is served.
type root struct {
	fd       int
	fallback *os.Root // resolves names where a seccomp filter refuses openat2(2), as systemd's RestrictSUIDSGID= does
}

// openRoot opens the directory as the account, which has to be able to enter it.
func openRoot(dir string) (*root, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("root %q: %w", dir, err)
	}
	r := &root{fd: fd}
	if err := unix.Faccessat(fd, ".", unix.X_OK, unix.AT_EACCESS); err != nil {
		r.close()
		return nil, fmt.Errorf("root %q: user %d cannot enter it: %w", dir, unix.Geteuid(), err)
	}
	probe, err := r.openat2(".", unix.O_PATH)
	if err == nil {
		unix.Close(probe)
		return r, nil
	}
	if r.fallback, err = os.OpenRoot(dir); err != nil {
		r.close()
		return nil, fmt.Errorf("root %q: %w", dir, err)
	}
	return r, nil
}

func (r *root) close() {
	unix.Close(r.fd)
	if r.fallback != nil {
		r.fallback.Close()
	}
}

// file is a regular file, open for reading.
type file struct {
	fd   int
	size int64 // bytes, when it was opened
}

// open opens a regular file below the root; a leading slash means the root. Anything else is not opened: even an open
// that is given up at once ends the wait of a FIFO's writer. O_NONBLOCK is for a FIFO put there in between.
func (r *root) open(path string) (*file, error) {
	if path == "" {
		return nil, errors.New("empty path")
	}
	name := "./" + strings.TrimLeft(path, "/")
	mode, err := r.mode(name)
	if err == nil {
		err = mustBeRegular(mode)
	}
	if err != nil {
		return nil, err
	}
	fd, err := r.openForReading(name)
	if err != nil {
		return nil, err
	}
	f := &file{fd: fd}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		f.close()
		return nil, err
	}
	f.size = st.Size
	if err := errors.Join(mustBeRegular(st.Mode), f.mustTellItsSize()); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// mode looks at a file without opening it.
func (r *root) mode(name string) (uint32, error) {
	if r.fallback != nil {
		info, err := r.fallback.Stat(name)
		if err != nil {
			return 0, explain(err)
		}
		return info.Sys().(*syscall.Stat_t).Mode, nil
	}
	fd, err := r.openat2(name, unix.O_PATH)
	if err != nil {
		return 0, explain(err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return st.Mode, err
}

const (
	// leaseTime is longer than a lease may be kept once somebody wants to open the file, see fcntl(2), F_SETLEASE.
	leaseTime  = time.Minute
	leasePause = 20 * time.Millisecond
)

// openForReading waits for the holder of a lease to give it up. The kernel would wait only in an open without O_NONBLOCK.
func (r *root) openForReading(name string) (fd int, err error) {
	for end := time.Now().Add(leaseTime); ; time.Sleep(leasePause) {
		fd, err = r.openNow(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
		if !errors.Is(err, unix.EAGAIN) || time.Now().After(end) {
			return fd, explain(err)
		}
	}
}

func (r *root) openNow(name string, flags int) (int, error) {
	if r.fallback == nil {
		return r.openat2(name, uint64(flags))
	}
	f, err := r.fallback.OpenFile(name, flags, 0)
	if err != nil {
		return -1, err
	}
	defer f.Close()
	return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
}

// openat2 has the kernel refuse every path that leaves the root on its way, by "..", an absolute symbolic link or a
// rename at the same time. It reports renames during the walk as EAGAIN, as it does a lease.
func (r *root) openat2(path string, flags uint64) (fd int, err error) {
	for range 100 {
		fd, err = unix.Openat2(r.fd, path, &unix.OpenHow{
			Flags:   flags | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
		})
		if err != unix.EINTR {
			break
		}
	}
	return fd, err
}

func explain(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) { // of os.Root: the name is said elsewhere
		err = pathErr.Err
	}
	switch {
	case errors.Is(err, unix.EXDEV):
		return fmt.Errorf("leads out of the served directory: %w", err)
	case errors.Is(err, unix.ENXIO): // a socket, or a device without a driver
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
	case unix.S_IFSOCK:
		return errors.New("not a regular file but a socket")
	}
	return errors.New("not a regular file but a device")
}

// mustTellItsSize refuses files of /proc and the like, which say that they are empty and are not.
func (f *file) mustTellItsSize() error {
	if f.size > 0 {
		return nil
	}
	if n, _ := unix.Pread(f.fd, make([]byte, 1), 0); n > 0 {
		return errors.New("its file system does not tell its size")
	}
	return nil
}

// readCached reads the beginning of the file if no disk has to be waited for, see preadv2(2); else the error is EAGAIN.
// File systems that cannot say so have one of their own.
func (f *file) readCached(b []byte) (int, error) {
	n, err := unix.Preadv2(f.fd, [][]byte{b[:min(int64(len(b)), f.size)]}, 0, unix.RWF_NOWAIT)
	if err == nil && n == 0 && f.size > 0 {
		err = errShrunk
	}
	return max(n, 0), err
}

// read reads at the offset, nothing at the end of what was announced. A file that ends before has become shorter.
func (f *file) read(b []byte, offset int64) (int, error) {
	rest := f.size - offset
	if rest == 0 {
		return 0, nil
	}
	for {
		n, err := unix.Pread(f.fd, b[:min(int64(len(b)), rest)], offset)
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

func (f *file) close() { unix.Close(f.fd) }

//lab:end
