package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// changes tells when files have changed. What a compiler or an editor does to a file differs: some write into it, some
// rename another to its place, some remove the directory before. So events only say when to look, and a file has
// changed when it looks different.
type changes struct {
	inotify *os.File
	fd      int              // of inotify; os.File's own method would make it block
	watched map[int32]string // directory of a watch descriptor
	find    func() (files, dirs []string)
	writing map[string]bool // files that somebody has begun to write and not closed yet
}

// quiet is how long nothing must happen to a file before it is taken for whole.
const quiet = 200 * time.Millisecond

const happenings = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_CREATE | unix.IN_MODIFY | unix.IN_ATTRIB |
	unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_ONLYDIR

// watchFiles begins to watch files, of which the directories may go and come again. The caller closes it.
func watchFiles(files ...string) (*changes, error) {
	var dirs []string
	for _, file := range files {
		dir := filepath.Dir(file)
		dirs = append(dirs, filepath.Dir(dir), dir)
	}
	return newChanges(func() ([]string, []string) { return files, dirs })
}

// watchSources begins to watch what programs are made of, below a directory. The caller closes it.
func watchSources(root string) (*changes, error) {
	return newChanges(func() (files, dirs []string) {
		filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
			case entry.IsDir():
				dirs = append(dirs, path)
			case isSource(entry.Name()):
				files = append(files, path)
			}
			return nil
		})
		return files, dirs
	})
}

func isSource(name string) bool {
	return name == "Makefile" || slices.Contains([]string{".go", ".mod", ".c", ".h"}, filepath.Ext(name))
}

func newChanges(find func() (files, dirs []string)) (*changes, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	c := &changes{inotify: os.NewFile(uintptr(fd), "inotify"), fd: fd, watched: map[int32]string{}, find: find,
		writing: map[string]bool{}}
	return c, c.watchDirectories()
}

func (c *changes) close() {
	c.inotify.Close()
}

// watchDirectories watches those that are there. One that is watched already goes on to be.
func (c *changes) watchDirectories() error {
	_, dirs := c.find()
	for _, dir := range dirs {
		wd, err := unix.InotifyAddWatch(c.fd, dir, happenings)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return &os.PathError{Op: "inotify_add_watch", Path: dir, Err: err}
		}
		if err == nil {
			c.watched[int32(wd)] = dir
		}
	}
	return nil
}

// look is what tells one state of the files from another. There are programs when all can be executed.
func (c *changes) look() (v state, programs bool) {
	programs = true
	files, _ := c.find()
	for _, file := range files {
		var st unix.Stat_t
		err := unix.Stat(file, &st)
		programs = programs && err == nil && st.Mode&0o111 != 0 && st.Size > 0
		v = append(v, look{file, st.Ino, st.Size, st.Mtim})
	}
	return v, programs
}

type state []look

type look struct {
	file     string
	inode    uint64
	size     int64
	modified unix.Timespec
}

// await returns when the files look different from what was seen, or when ctx ends.
func (c *changes) await(ctx context.Context, seen state) error {
	for {
		if now, _ := c.look(); !slices.Equal(now, seen) {
			return ctx.Err()
		}
		if err := c.wait(ctx); err != nil {
			return err
		}
	}
}

// wait returns when something has happened to the files and it has been quiet since, or when ctx ends.
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

// read takes what has happened and tells whether it was to the files or their directories.
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
	files, dirs := c.find()
	ours := slices.Contains(files, path)
	if mask&(unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_MOVED_FROM) != 0 {
		delete(c.writing, path)
	} else if ours && mask&unix.IN_MODIFY != 0 {
		c.writing[path] = true
	}
	return ours || slices.Contains(dirs, path)
}
