package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"

	"daemonlab/lab/tool"
	"daemonlab/specs/grade/cage"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/intake"
)

// grader grades the submissions of a class.
type grader struct {
	o         options
	work      string // directory that goes at the end
	cages     *cage.Cages
	kit       string // version
	toolchain toolchain
	total     int                // submissions to grade
	graded    int                // of these
	out       *os.File           // the lock on the directory of results
	before    []class.Submission // that the results have already
	adjust    map[class.Name]class.Adjustment

	judging chan struct{} // has room for as many judges as may be at work
}

// The judge's programs, in the order of the cage's tools.
const (
	judgeTool = iota
	suiteTool
	launchTool
)

var toolNames = []string{"judge", "specs.test", "launch"}

func newGrader(o options) (g *grader, err error) {
	g = &grader{o: o, kit: cmp.Or(kit, "(devel)")}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if err := g.prepareOut(); err != nil {
		return g, err
	}
	self, err := os.Executable()
	if err != nil {
		return g, err
	}
	if g.work, err = os.MkdirTemp("", "daemonlab-grade-"); err != nil {
		return g, err
	}
	if err := g.makeRooms(); err != nil {
		return g, err
	}
	tools, err := g.openTools(filepath.Dir(self))
	if err != nil {
		return g, err
	}
	if g.toolchain, err = findToolchain(filepath.Dir(filepath.Dir(self))); err != nil {
		return g, err
	}
	return g, g.openCages(tools)
}

// openCages makes sure that there is a cage, or that none is wanted.
func (g *grader) openCages(tools []*os.File) (err error) {
	if g.cages, err = cage.Open(g.room("cages"), g.toolchain.shares, tools); err == nil {
		g.judging = make(chan struct{}, g.judges())
		if !g.cages.MemoryLimited() {
			fmt.Fprintln(os.Stderr, "grade: no control groups: memory is limited per process, not per submission")
		}
		return nil
	}
	if !g.o.unsafe {
		return fmt.Errorf("%w\n--unsafe grades without a cage: submissions can then do whatever you can", err)
	}
	fmt.Fprintf(os.Stderr, "grade: %v\ngrade: submissions are not caged and are graded one at a time\n", err)
	g.o.jobs = 1
	g.toolchain.useInPlace()
	g.judging = make(chan struct{}, 1)
	g.cages, err = cage.Bare(g.room("bare"), tools)
	return err
}

func (g *grader) room(name string) string { return filepath.Join(g.work, name) }

// makeRooms makes the directories for cages and without, which every user may enter, and those for submissions and tools,
// which only this one may.
func (g *grader) makeRooms() error {
	err := os.Chmod(g.work, 0o711)
	for name, mode := range map[string]fs.FileMode{"cages": 0o755, "bare": 0o755, "files": 0o700, "tools": 0o700, "class": 0o700} {
		err = errors.Join(err, os.Mkdir(g.room(name), mode), os.Chmod(g.room(name), mode))
	}
	return err
}

// openTools opens the judge's programs, which are beside this one. The cages get copies, by descriptor, that strangers
// may execute whatever the umask of who has built them.
func (g *grader) openTools(dir string) (tools []*os.File, err error) {
	for _, name := range toolNames {
		copied := filepath.Join(g.room("tools"), name)
		if err := tool.CopyProgram(filepath.Join(dir, name), copied); err != nil {
			return nil, err
		}
		file, err := os.Open(copied)
		if err != nil {
			return nil, err
		}
		tools = append(tools, file)
	}
	return tools, nil
}

func (g *grader) close() {
	if g.cages != nil {
		g.cages.Close()
	}
	if g.work != "" {
		os.RemoveAll(g.work)
	}
	g.out.Close()
}

// gradeAll grades the submissions, several at a time, and returns those that are done, in the order of their names.
func (g *grader) gradeAll(ctx context.Context, items []intake.Item) ([]class.Submission, error) {
	p := newProgress(len(items))
	defer p.end()
	done := make([]*class.Submission, len(items))
	errs := make([]error, len(items))
	slots := make(chan struct{}, g.o.jobs)
	var wg sync.WaitGroup
	for i, item := range items {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			done[i], errs[i] = g.gradeOrLoad(ctx, item, p)
		})
	}
	wg.Wait()
	var found []class.Submission
	for _, s := range done {
		if s != nil {
			found = append(found, *s)
		}
	}
	return found, errors.Join(errs...)
}

// gradeOrLoad returns nothing when ctx has ended: what was judged then may have suffered from it.
func (g *grader) gradeOrLoad(ctx context.Context, item intake.Item, p *progress) (*class.Submission, error) {
	adjust := g.adjust[item.Name]
	handed, hashErr := item.Hash(adjust.As)
	before, err := class.LoadSubmission(g.o.out, item.Name)
	had := err == nil
	// What was not judged has no runs.
	enough := before.Verdict != class.GraderFailed && (before.Verdict != class.Graded || before.Runs >= g.o.runs)
	if had && enough && g.o.resume && g.o.as == "" && before.Handed == handed {
		p.kept()
		if !reflect.DeepEqual(before.Adjust, adjust) { // the instructor's table has changed
			before.Adjust = adjust
			err = before.Save(g.o.out)
		}
		return &before, err
	}
	if g.o.as != "" && !had {
		return nil, fmt.Errorf("%v has not been graded yet: grade it without --as first", item.Name)
	}
	p.begin(item.Name)
	if err := g.makeDir(item.Name.Dir(g.o.out)); err != nil {
		return nil, err
	}
	s := g.grade(ctx, item, cmp.Or(g.o.as, adjust.As), hashErr)
	if ctx.Err() != nil {
		return nil, nil
	}
	if g.o.as != "" {
		got, of, _ := s.Earned(g.o.rows)
		before.Trial = &class.Trial{Command: g.o.as, Verdict: s.Verdict, Why: s.Why, Rows: s.Rows, Got: got, Of: of}
		s = before
	} else if s.Handed, s.Adjust = handed, adjust; had {
		got, of, _ := before.Points(g.o.rows)
		s.History = append(before.History, class.Earlier{When: before.When, Verdict: before.Verdict, Got: got, Of: of})
	}
	p.done(s, g.o.rows)
	return &s, s.Save(g.o.out)
}

// kit is the version that the script has built.
var kit string

func machine() string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	cpus, _ := os.ReadFile("/proc/cpuinfo")
	_, model, _ := strings.Cut(string(cpus), "model name\t: ")
	model, _, _ = strings.Cut(model, "\n")
	return fmt.Sprintf("Linux %s %s, %d x %s, %s", strings.TrimSpace(string(kernel)), runtime.GOARCH, runtime.NumCPU(),
		cmp.Or(model, "processor"), runtime.Version())
}
