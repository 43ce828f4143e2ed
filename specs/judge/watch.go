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
	programs, err := watchFiles(o.server, o.client)
	if err != nil {
		return exitError, err
	}
	defer programs.close()
	b := newBoard(rows, o)
	defer b.close()
	if o.build != "" {
		sources, err := watchSources(o.sources)
		if err != nil {
			return exitError, err
		}
		defer sources.close()
		go o.keepBuilt(ctx, sources, b)
	}
	for err == nil && ctx.Err() == nil {
		seen, whole := programs.look()
		if whole {
			err = o.round(ctx, programs, seen, b)
		}
		if now, _ := programs.look(); err == nil && slices.Equal(now, seen) {
			b.rest(whole)
			err = programs.await(ctx, seen)
		}
	}
	if ctx.Err() == nil {
		return exitError, err
	}
	return b.report().exitStatus(), nil
}

// round judges all rows, of copies of the programs, so that they can be built anew meanwhile. That
// ends the round.
func (o options) round(ctx context.Context, programs *changes, seen state, b *board) error {
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
	changed := make(chan error, 1)
	go func() {
		changed <- programs.await(round, seen)
		cancel()
	}()
	red, others := b.round()
	for _, rows := range [][]rubric.Row{red, others} {
		if err == nil && round.Err() == nil {
			_, err = judge(round, o, rows, progressOf{b, round})
		}
	}
	cancel()
	if waitErr := <-changed; !errors.Is(waitErr, context.Canceled) {
		err = errors.Join(err, waitErr)
	}
	return err
}

// progressOf is the progress of one round, which leaves the board as it was for rows that were broken off.
type progressOf struct {
	board *board
	round context.Context
}

func (p progressOf) begin(row rubric.Row) { p.board.begin(row) }

func (p progressOf) end(r result) { p.board.end(r, p.round.Err() == nil) }

// keepBuilt builds the programs whenever a source has changed. That they have changed is then seen like any build.
func (o options) keepBuilt(ctx context.Context, sources *changes, b *board) {
	seen, _ := sources.look()
	for sources.await(ctx, seen) == nil {
		seen, _ = sources.look()
		build := exec.CommandContext(ctx, "sh", "-c", o.build)
		build.Dir = o.sources
		output, err := harness.CombinedOutput(build)
		b.built(string(output), err == nil)
	}
}
