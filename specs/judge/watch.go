package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

// watch judges the rows whenever a program has changed, first those that failed. It ends when ctx does.
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

// round judges all rows, of copies of the programs, so that they can be built anew meanwhile. That ends the round.
func (o options) round(ctx context.Context, programs finder, seen []look, b *board) error {
	dir, err := os.MkdirTemp("", "specs-watch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, program := range []*string{&o.server, &o.client} {
		copied := filepath.Join(dir, filepath.Base(*program))
		err := copyProgram(*program, copied)
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

// keepBuilt builds the programs whenever a source has changed. That they have changed is then seen like any build.
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
