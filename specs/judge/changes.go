package main

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// changes tells when programs have been built anew. What a build does to a file differs: some write into it, some
// rename another to its place, some remove the directory before. So events only say when to look, and a program has
// changed when it looks different.
type changes struct {
	inotify *os.File
	fd      int              // of inotify; os.File's own method would make it block
	watched map[int32]string // directory of a watch descriptor
	files   []string
	writing map[string]bool // files that somebody has begun to write and not closed yet
}

// quiet is how long nothing must happen to a program before it is taken for whole.
const quiet = 200 * time.Millisecond

const happenings = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_CREATE | unix.IN_MODIFY | unix.IN_ATTRIB |
	unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_ONLYDIR

// watchFiles begins to watch. The caller closes it.
func watchFiles(files ...string) (*changes, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	c := &changes{inotify: os.NewFile(uintptr(fd), "inotify"), fd: fd, watched: map[int32]string{}, files: files,
		writing: map[string]bool{}}
	return c, c.watchDirectories()
}

func (c *changes) close() {
	c.inotify.Close()
}

// watchDirectories watches the directory of each file, and the one above it, in which a directory that was removed is
// made again.
func (c *changes) watchDirectories() error {
	for _, file := range c.files {
		dir := filepath.Dir(file)
		for _, dir := range []string{filepath.Dir(dir), dir} {
			wd, err := unix.InotifyAddWatch(c.fd, dir, happenings)
			if err != nil && !errors.Is(err, unix.ENOENT) {
				return &os.PathError{Op: "inotify_add_watch", Path: dir, Err: err}
			}
			if err == nil {
				c.watched[int32(wd)] = dir
			}
		}
	}
	return nil
}

// look is what tells one version of the programs from another.
func (c *changes) look() (v version, whole bool) {
	whole = true
	for _, file := range c.files {
		var st unix.Stat_t
		err := unix.Stat(file, &st)
		whole = whole && err == nil && st.Mode&0o111 != 0 && st.Size > 0
		v = append(v, look{st.Ino, st.Size, st.Mtim})
	}
	return v, whole
}

type version []look

type look struct {
	inode    uint64
	size     int64
	modified unix.Timespec
}

// await returns when the programs look different from what was seen, or when ctx ends.
func (c *changes) await(ctx context.Context, seen version) error {
	for {
		if now, _ := c.look(); !slices.Equal(now, seen) {
			return ctx.Err()
		}
		if err := c.wait(ctx); err != nil {
			return err
		}
	}
}

// wait returns when something has happened to the programs and it has been quiet since, or when ctx ends.
func (c *changes) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { c.inotify.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for happened := false; ; {
		deadline := time.Time{}
		if happened && len(c.writing) == 0 {
			deadline = time.Now().Add(quiet)
		}
		c.inotify.SetReadDeadline(deadline)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		ours, err := c.read()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil:
			return nil
		case err != nil:
			return errors.Join(ctx.Err(), err)
		}
		happened = happened || ours
		if err := c.watchDirectories(); err != nil {
			return err
		}
	}
}

// read takes what has happened and tells whether it was to the programs or their directories.
func (c *changes) read() (ours bool, err error) {
	buf := make([]byte, 16<<10)
	n, err := c.inotify.Read(buf)
	for buf = buf[:n]; len(buf) >= unix.SizeofInotifyEvent; {
		wd := int32(binary.NativeEndian.Uint32(buf))
		mask := binary.NativeEndian.Uint32(buf[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[12:]))
		name := strings.TrimRight(string(buf[unix.SizeofInotifyEvent:end]), "\x00")
		ours = c.note(filepath.Join(c.watched[wd], name), mask) || ours
		buf = buf[end:]
	}
	return ours, err
}

func (c *changes) note(path string, mask uint32) bool {
	for _, file := range c.files {
		if path == filepath.Dir(file) {
			return true
		}
		if path != file {
			continue
		}
		if mask&unix.IN_MODIFY != 0 {
			c.writing[file] = true
		} else if mask&(unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_MOVED_FROM) != 0 {
			delete(c.writing, file)
		}
		return true
	}
	return false
}
