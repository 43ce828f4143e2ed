package main

import (
	"os"
	"slices"
	"sync"

	"golang.org/x/term"

	"daemonlab/specs/rubric"
)

// board is what --watch knows of the rows, and shows.
type board struct {
	rows []rubric.Row
	view view

	mu      sync.Mutex
	results map[string]result
	running map[string]bool
	fresh   map[string]bool // judged in this round: what is known of the others was so
	errors  string          // of the last build, if it failed
}

// view shows a board. Its methods are called one at a time.
type view interface {
	update(b *board, changed *result)     // a row has begun or, if there is one, come to a new result
	rest(b *board, programsAreThere bool) // a round is over
	built(b *board)                       // a build has failed, or not any more
	close(b *board)
}

func newBoard(rows []rubric.Row, o options) *board {
	b := &board{rows: rows, results: map[string]result{}, running: map[string]bool{}, fresh: map[string]bool{}}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		b.view = newScreen(b, o.lang)
	} else {
		b.view = lines{os.Stdout, o.lang}
	}
	return b
}

func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.view.close(b)
}

// round begins one: nothing is known of the programs as they are now. It returns the rows to judge, first those that
// have not passed.
func (b *board) round() (red, others []rubric.Row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.fresh)
	red = b.red()
	for _, row := range b.rows {
		if !slices.ContainsFunc(red, func(r rubric.Row) bool { return r.ID == row.ID }) {
			others = append(others, row)
		}
	}
	return red, others
}

func (b *board) red() (rows []rubric.Row) {
	for _, row := range b.rows {
		if s := b.results[row.ID].Status; s != statusPassed && s != statusSkipped {
			rows = append(rows, row)
		}
	}
	return rows
}

func (b *board) begin(row rubric.Row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running[row.ID] = true
	b.view.update(b, nil)
}

// end notes a result, unless the row was broken off.
func (b *board) end(r result, counts bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, r.ID)
	var changed *result
	if counts {
		if b.results[r.ID].Status != r.Status {
			changed = &r
		}
		b.results[r.ID] = r
		b.fresh[r.ID] = true
	}
	b.view.update(b, changed)
}

func (b *board) rest(programsAreThere bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.view.rest(b, programsAreThere)
}

// built notes how a build went.
func (b *board) built(output string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	failed := b.errors != ""
	b.errors = ""
	if !ok {
		b.errors = output
	}
	if failed || !ok {
		b.view.built(b)
	}
}

// report is what is known so far.
func (b *board) report() report {
	var results []result
	for _, row := range b.rows {
		r, known := b.results[row.ID]
		if !known {
			r = newResult(row)
			r.Status = statusFailed
		}
		results = append(results, r)
	}
	return newReport(results)
}
