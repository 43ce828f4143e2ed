package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/tool"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

// watch judges the rows whenever a program changes, first those that failed. It ends when ctx does.
func watch(ctx context.Context, o options, rows []rubric.Row) (status int, err error) {
	programs := finder(func() []string { return []string{o.server, o.client} })
	b := newBoard(rows, o.lang)
	defer b.close()
	if o.build != "" {
		go o.keepBuilt(ctx, b)
	}
	for err == nil && ctx.Err() == nil {
		seen, whole := programs.look()
		if whole {
			err = o.round(ctx, programs, seen, b)
		}
		if now, _ := programs.look(); err == nil && slices.Equal(now, seen) {
			b.rest(whole)
			programs.await(ctx, seen)
		}
	}
	if ctx.Err() == nil {
		return exitError, err
	}
	return b.report().exitStatus(), nil
}

// round judges all rows on copies of the programs, so that they can be rebuilt meanwhile; a rebuild ends the round.
func (o options) round(ctx context.Context, programs finder, seen []look, b *board) error {
	dir, err := os.MkdirTemp("", "specs-watch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, program := range []*string{&o.server, &o.client} {
		copied := filepath.Join(dir, filepath.Base(*program))
		err := tool.CopyProgram(*program, copied)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a build has begun
		}
		if err != nil {
			return err
		}
		*program = copied
	}
	if err := os.Chmod(dir, 0o755); err != nil { // for the account that the server becomes
		return err
	}
	round, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		programs.await(round, seen)
		cancel()
	}()
	red, others := b.round()
	for _, rows := range [][]rubric.Row{red, others} {
		if err == nil && round.Err() == nil {
			_, err = judge(round, o, rows, func(r result) { b.note(r, round.Err() == nil) })
		}
	}
	return err
}

// keepBuilt builds the programs whenever a source changes. The changed programs are then noticed as after any build.
func (o options) keepBuilt(ctx context.Context, b *board) {
	of := finder(func() []string { return sources(o.sources) })
	seen, _ := of.look()
	for of.await(ctx, seen) == nil {
		seen, _ = of.look()
		build := exec.CommandContext(ctx, "sh", "-c", o.build)
		build.Dir = o.sources
		output, err := harness.CombinedOutput(build)
		b.built(string(output), err == nil)
	}
}

// A finder finds the files whose changes matter. Compilers and editors change a file in different ways: some write
// into it, some rename another over it, some remove the directory first. So a file has changed when its state differs,
// which is polled.
type finder func() (files []string)

func sources(root string) (files []string) {
	filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.Name() == "Makefile", slices.Contains([]string{".go", ".mod", ".c", ".h"}, filepath.Ext(path)):
			files = append(files, path)
		}
		return nil
	})
	return files
}

// look is the state of a file.
type look struct {
	file     string
	inode    uint64
	size     int64
	modified unix.Timespec
}

// look describes the state of the files, for comparison. There are programs when all can be executed.
func (find finder) look() (state []look, programs bool) {
	programs = true
	for _, file := range find() {
		var st unix.Stat_t
		err := unix.Stat(file, &st)
		programs = programs && err == nil && st.Mode&0o111 != 0 && st.Size > 0
		state = append(state, look{file, st.Ino, st.Size, st.Mtim})
	}
	return state, programs
}

// quiet is how long a file must be left alone before it counts as complete.
const quiet = 200 * time.Millisecond

// await returns when the files differ from what was seen and are complete, or when ctx ends.
func (find finder) await(ctx context.Context, seen []look) error {
	for before := seen; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(quiet):
		}
		now, _ := find.look()
		if !slices.Equal(now, seen) && slices.Equal(now, before) && !slices.ContainsFunc(find(), isBeingWritten) {
			return nil
		}
		before = now
	}
}

// isBeingWritten reports whether somebody has the file open for writing, which makes a lease fail (fcntl(2)).
func isBeingWritten(file string) bool {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	return errors.Is(err, unix.EAGAIN)
}
