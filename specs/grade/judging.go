package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/cage"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

const (
	rowsAtOnce    = 4        // per submission
	maxJudged     = 32 << 20 // bytes of the judge's output
	begun         = "begun"  // status of a row in the judge's stream while it is being judged
	unusedProgram = "/bin/true"
)

var killedJudge = rubric.Text{EN: "the process that judged this was killed", ES: "algo mató al proceso que hacía esta prueba"}

// judge judges the programs the requested number of times. A submission that used up its time is not judged again.
func (a *attempt) judge(ctx context.Context) error {
	a.Verdict = class.Graded
	for run := 1; run <= a.o.runs; run++ {
		rows, err := a.judgeOnce(ctx, run)
		a.Runs = run
		a.merge(rows)
		if err != nil {
			return err
		}
	}
	return a.checkJudged()
}

// judgeOnce judges the programs in a cage. Rows that the judge could not judge are tried once more, each alone.
func (a *attempt) judgeOnce(ctx context.Context, run int) ([]class.Row, error) {
	found, err := a.judgeRows(ctx, fmt.Sprintf("judge-%d", run), a.toJudge())
	if err != nil {
		return found, err
	}
	for i, row := range found {
		if row.Status != class.Error {
			continue
		}
		again, err := a.judgeRows(ctx, fmt.Sprintf("judge-%d-%s", run, row.ID), []string{row.ID})
		if err != nil {
			return found, err
		}
		found[i] = again[0]
	}
	return found, nil
}

// toJudge returns the rows of the programs that exist. The others get no points, and one common reason.
func (a *attempt) toJudge() (ids []string) {
	for _, row := range a.o.rows {
		program := serverProgram
		if standard, _ := rubric.Find(rubric.Standard(), row.ID); standard.Step == rubric.ClientStep {
			program = clientProgram
		}
		if a.has(program) {
			ids = append(ids, row.ID)
		}
	}
	return ids
}

// judges returns how many judges can run at a time. If all cages run as one user, they share that user's message
// queues, and the default limit is enough for one judge.
func (g *grader) judges() int {
	const queuesOfJudge = 800 << 10 // bytes, the default
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &limit)
	if g.cages.Apart() || err == nil && limit.Cur == unix.RLIM_INFINITY {
		return g.o.jobs
	}
	return max(1, int(limit.Cur/queuesOfJudge))
}

// judgeRows runs the judge in a cage. Results come through its stdout, which no program of the submission has.
func (a *attempt) judgeRows(ctx context.Context, log string, ids []string) ([]class.Row, error) {
	select {
	case a.judging <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-a.judging }()
	limited, cancel := harness.WithTimeout(ctx, a.o.timeout)
	defer cancel()
	said, complaints := &capped{limit: maxJudged}, &capped{limit: maxBuildOutput}
	exit, err := a.cages.Run(limited, cage.Job{
		Command: a.judgeCommand(ids), Trusted: true, Files: a.built, Fixed: true, Stdout: said, Stderr: complaints,
		Env: cage.Environment(harness.OrdersVariable + "=" + strings.Join(a.cages.Confine(), " ")),
	})
	keepErr := errors.Join(a.keep(log+".json", said.kept.Bytes()), a.keep(log+".log", complaints.kept.Bytes()))
	if keepErr != nil {
		return nil, keepErr
	}
	found := parseStream(said.kept.Bytes())
	switch {
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		rows, open := finished(found, ids)
		// No time is left to judge these alone. A program that exhausts some resource gains nothing by it.
		rows = slices.DeleteFunc(rows, func(r class.Row) bool { return r.Status == class.Error })
		return rows, fault{class.Timeout, finding.Say("judging did not finish within %v, at %s", a.o.timeout, open)}
	case err != nil:
		return nil, err
	case exit > 128: // only the submission can have sent the signal
		return withKilled(found, ids), nil
	}
	rows, open := finished(found, ids)
	if len(rows) < len(ids) {
		return nil, fmt.Errorf("the judge exited with %d before it had judged %s: %s", exit, open,
			oneLine(complaints.kept.String()))
	}
	return rows, nil
}

func (a *attempt) judgeCommand(ids []string) []string {
	command := []string{a.cages.Tool(judgeTool), "--stream", "--jobs", fmt.Sprint(rowsAtOnce),
		"--suite", a.cages.Tool(suiteTool), "--launcher", a.cages.Tool(launchTool)}
	for _, p := range []struct{ flag, program string }{{"--server", serverProgram}, {"--client", clientProgram}} {
		path := unusedProgram
		if a.has(p.program) {
			path = a.cages.Submission() + "/" + p.program
		}
		command = append(command, p.flag, path)
	}
	for _, id := range ids {
		command = append(command, "--id", id)
	}
	return command
}

// parseStream reads the judge's output; of several lines for a row the last counts.
func parseStream(said []byte) map[string]class.Row {
	found := map[string]class.Row{}
	for line := range bytes.Lines(said) {
		var row class.Row
		if json.Unmarshal(line, &row) == nil { // the last line may be truncated
			found[row.ID] = row
		}
	}
	return found
}

// finished returns the rows that were judged, and names those in progress.
func finished(found map[string]class.Row, ids []string) (rows []class.Row, open string) {
	var names []string
	for _, id := range ids {
		switch row, ok := found[id]; {
		case ok && row.Status == begun:
			names = append(names, id)
		case ok:
			rows = append(rows, row)
		}
	}
	return rows, strings.Join(names, ", ")
}

// withKilled fails the rows that were not finished when the submission killed the judge.
func withKilled(found map[string]class.Row, ids []string) (rows []class.Row) {
	for _, id := range ids {
		row, ok := found[id]
		if !ok || row.Status == begun {
			row = class.Row{ID: id, Status: class.Failed, Why: killedJudge}
		}
		rows = append(rows, row)
	}
	return rows
}

// merge adds the rows of another run. A row counts only if every run judged it, and passes only if every run passed.
func (a *attempt) merge(run []class.Row) {
	for i := range run {
		if run[i].Status == class.Passed {
			run[i].Passes = 1
		}
	}
	if a.Runs == 1 {
		a.Rows = run
		return
	}
	var merged []class.Row
	for _, before := range a.Rows {
		if after, has := (class.Submission{Rows: run}).Row(before.ID); has {
			merged = append(merged, join(before, after))
		}
	}
	a.Rows = merged
}

// worse ranks the outcomes of a row: the worst run counts.
var worse = map[string]int{class.Passed: 0, class.Skipped: 1, class.Error: 2, class.Failed: 3}

func join(before, after class.Row) class.Row {
	joined := before
	if before.Status == class.Passed {
		joined.Finding, joined.Why = after.Finding, after.Why
	}
	if worse[after.Status] > worse[before.Status] {
		joined.Status = after.Status
	}
	joined.Passes += after.Passes
	joined.Seconds += after.Seconds
	return joined
}

// checkJudged withdraws the grade if the judge failed at a row even when alone: points would be missing.
func (a *attempt) checkJudged() error {
	var failed []string
	for _, row := range a.Rows {
		if row.Status == class.Error {
			failed = append(failed, row.ID)
		}
	}
	if failed != nil {
		return fmt.Errorf("the specs could not judge %s; see the evidence", strings.Join(failed, ", "))
	}
	return nil
}
