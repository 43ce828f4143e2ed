package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2/types"
	"golang.org/x/sys/unix"

	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

// How a row can end.
const (
	statusPassed  = "passed"
	statusFailed  = "failed"
	statusSkipped = "skipped" // every spec of it was
	statusError   = "error"   // the suite could not judge it

	statusBegun = "begun" // in a stream only
)

// result is the verdict on one row.
type result struct {
	ID      string           `json:"id"`
	Step    int              `json:"step"`
	Title   string           `json:"title"`
	Status  string           `json:"status"`
	Points  int              `json:"points"`
	Max     int              `json:"max"`
	Seconds float64          `json:"seconds"`
	Finding *finding.Finding `json:"finding,omitempty"`
	Why     rubric.Text      `json:"why,omitzero"` // there is no finding, or no verdict

	row     rubric.Row
	skipped []rubric.Text // why specs of it were skipped
	notes   []rubric.Text // the specs' remarks on how they judged
}

const (
	// rowLimit bounds a row's time, on the harness's clock. A program that hangs wherever it can makes a row take
	// several times the harness's Patience; this limit is for one that outwits the harness.
	rowLimit = 2 * time.Minute
	// rowEnds is when a machine is too slow for a verdict.
	rowEnds = 10 * rowLimit
)

// slowest are the rows whose contract has long waits. They start first, beside the others.
var slowest = []string{"exit", "sigterm", "cleanup", "stuck", "failure", "instance", "ready"}

// progress is told, from several goroutines, when a row begins and when it has been judged.
type progress func(result)

// judge judges the rows, several in parallel, and returns the results in the order of the rows.
func judge(ctx context.Context, o options, rows []rubric.Row, p progress) ([]result, error) {
	dir, err := os.MkdirTemp("", "specs-judge-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	restore, err := keep(dir, o.server, o.client)
	if err != nil {
		return nil, err
	}
	before := queues()
	results := make([]result, len(rows))
	var hung hangs
	slots := make(chan struct{}, o.jobs)
	var wg sync.WaitGroup
	for _, i := range slowestFirst(rows) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			p(newResult(rows[i], statusBegun, rubric.Text{}))
			if err := restore(); err != nil {
				results[i] = newResult(rows[i], statusError, finding.Words(err))
			} else if why, enough := hung.enough(rows[i]); enough {
				results[i] = why
			} else {
				results[i] = o.judgeRow(ctx, rows[i])
				hung.note(results[i])
			}
			p(results[i])
		})
	}
	wg.Wait()
	defer removeLeft(before)
	return results, errors.Join(harness.KillAdopted(), restore())
}

// hangs counts the rows in which the server's start did not return. After a few the others are spared the wait.
type hangs struct {
	mu   sync.Mutex
	rows int
}

const enoughHangs = 2

func (h *hangs) note(r result) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Finding != nil && r.Finding.Hangs {
		h.rows++
	}
}

// enough returns the verdict on a row of a server whose start has hung often enough.
func (h *hangs) enough(row rubric.Row) (result, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows < enoughHangs || row.Step == rubric.ClientStep {
		return result{}, false
	}
	return newResult(row, statusFailed, finding.Say("not tried: the start does not return")), true
}

func slowestFirst(rows []rubric.Row) []int {
	order := make([]int, len(rows))
	for i := range rows {
		order[i] = i
	}
	rank := func(i int) int {
		if at := slices.Index(slowest, rows[i].ID); at >= 0 {
			return at
		}
		return len(slowest)
	}
	slices.SortStableFunc(order, func(a, b int) int { return rank(a) - rank(b) })
	return order
}

func newResult(row rubric.Row, status string, why rubric.Text) result {
	return result{ID: row.ID, Step: row.Step, Title: row.Title.EN, Status: status, Max: row.Points, Why: why, row: row}
}

// judgeRow runs the specs of one row in a process of their own.
func (o options) judgeRow(ctx context.Context, row rubric.Row) result {
	// The suite's process writes its findings to an unlinked file: the program under test cannot open it, as long as
	// it can trace neither that process nor this one (proc(5), /proc/pid/fd).
	fd, err := unix.MemfdCreate("report", unix.MFD_CLOEXEC)
	if err != nil {
		return newResult(row, statusError, finding.Words(os.NewSyscallError("memfd_create", err)))
	}
	report := os.NewFile(uintptr(fd), "report")
	defer report.Close()
	longest, end := context.WithTimeout(ctx, rowEnds)
	defer end()
	ctx, cancel := harness.WithTimeout(longest, rowLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.suite, fmt.Sprintf("-ginkgo.json-report=/proc/%d/fd/%d", os.Getpid(), fd),
		"-ginkgo.no-color", "-ginkgo.silence-skips",
		"-ginkgo.timeout="+(2*rowEnds).String(), // it does not know the harness's clock
		"-ginkgo.fail-fast")                     // a row passes as a whole or not at all
	cmd.Env = append(os.Environ(), harness.ServerVariable+"="+o.server, harness.ClientVariable+"="+o.client,
		harness.LauncherVariable+"="+o.launcher, harness.RowVariable+"="+row.ID)
	// A process group of its own keeps a Ctrl-C for this program, which passes it on: a second interrupt would make
	// the suite skip its cleanup. It is killed only after a while.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Unshareflags: ownQueues()}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = harness.Stretched(10 * time.Second)
	begin := time.Now()
	output, runErr := harness.CombinedOutput(cmd)
	r := newResult(row, "", rubric.Text{})
	r.Seconds = time.Since(begin).Round(time.Millisecond).Seconds()
	specs, err := read(report)
	switch {
	case longest.Err() == context.DeadlineExceeded:
		if r.Status = statusSkipped; harness.Untrusted() { // it could slow the machine down itself, and what is skipped costs nothing
			r.Status = statusError
		}
		r.Why = finding.Say("not judged: its specs did not finish within %v, on a machine %.0f times slower than most",
			rowEnds, harness.Slowness())
		r.skipped = []rubric.Text{r.Why}
	case ctx.Err() == context.DeadlineExceeded:
		r.Status, r.Why = statusFailed, finding.Say("its specs did not finish within %v",
			time.Since(begin).Round(time.Second))
	case ctx.Err() == nil && (killed(cmd.ProcessState) || interrupted(specs)):
		r.Status, r.Why = statusFailed, finding.Say("the process that judged this was killed: %v", cmd.ProcessState)
	case cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == harness.TamperedStatus:
		r.Status, r.Why = statusFailed, finding.Say("something stopped the process that judged this")
	case err != nil:
		r.Status, r.Why = statusError, finding.Same("%v, %v\n%s", runErr, err, output)
	default:
		r.conclude(specs)
	}
	if r.Status == statusError && harness.Untrusted() && full(os.TempDir()) {
		r.Status, r.Why = statusFailed, finding.Say("the program has filled the file system in which it is judged")
	}
	return r
}

func read(report io.ReaderAt) (specs types.SpecReports, err error) {
	var reports []types.Report
	if err := json.NewDecoder(io.NewSectionReader(report, 0, math.MaxInt64)).Decode(&reports); err != nil {
		return nil, fmt.Errorf("the suite's report: %w", err)
	}
	for _, report := range reports {
		specs = append(specs, report.SpecReports...)
	}
	return specs, nil
}

// full reports whether there is no room for files. A cage holds only the program and the suite, which needs little.
func full(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && (fs.Bavail*uint64(fs.Bsize) < 1<<20 || fs.Ffree < 100)
}

// killed reports whether a signal ended the suite's process. The suite's own faults do not, so it was the program,
// which runs beside it.
func killed(state *os.ProcessState) bool {
	return state != nil && state.Sys().(syscall.WaitStatus).Signaled()
}

// interrupted reports whether a terminating signal stopped the suite; it is not ours as long as we continue.
func interrupted(specs types.SpecReports) bool {
	return slices.ContainsFunc(specs, func(s types.SpecReport) bool { return s.State == types.SpecStateInterrupted })
}

// conclude makes one verdict of the row's specs: a row earns its points as a whole.
func (r *result) conclude(specs types.SpecReports) {
	passed, judged := 0, true
	for _, s := range specs {
		why := finding.Same("%s", s.Failure.Message)
		for _, entry := range s.ReportEntries {
			var text rubric.Text
			if err := json.Unmarshal([]byte(entry.Value.AsJSON), &text); err != nil {
				continue // belongs to a finding
			}
			switch entry.Name {
			case finding.Noted:
				r.notes = append(r.notes, text)
			case finding.NotJudged, finding.Skipped:
				why = text
				judged = judged && entry.Name == finding.Skipped
			}
		}
		switch {
		case s.State == types.SpecStatePassed && s.LeafNodeType == types.NodeTypeIt:
			passed++
		case s.State == types.SpecStateSkipped && s.Failure.Message != "":
			r.skipped = append(r.skipped, why)
		case s.Failed():
			r.fail(s)
		}
	}
	switch {
	case r.Status != "":
	case passed > 0 && judged:
		r.Status, r.Points = statusPassed, r.Max
	case len(r.skipped) > 0:
		r.Status, r.Why = statusSkipped, r.skipped[0]
	default:
		r.Status, r.Why = statusError, finding.Same("no spec of it ran")
	}
}

// fail takes over a failed spec's message. A finding is the program's fault, anything else the suite's.
func (r *result) fail(s types.SpecReport) {
	var found *finding.Finding
	var facts []finding.Fact
	for _, entry := range s.ReportEntries {
		switch entry.Name {
		case finding.Entry:
			found = new(finding.Finding)
			if err := json.Unmarshal([]byte(entry.Value.AsJSON), found); err != nil {
				found = nil
			}
		case finding.Facts:
			var more []finding.Fact
			json.Unmarshal([]byte(entry.Value.AsJSON), &more)
			facts = append(facts, more...)
		}
	}
	switch {
	case found != nil && r.Finding == nil:
		found.Facts = append(found.Facts, facts...)
		r.Status, r.Finding, r.Why = statusFailed, found, rubric.Text{}
	case r.Status == "":
		r.Status, r.Why = statusError, finding.Same("%s: %s\n%s", s.LeafNodeText, s.Failure.Message, s.Failure.ForwardedPanic)
	}
}
