package broken_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/specs/broken"
	"daemonlab/specs/harness"
)

var only = flag.String("only", "", "judge only programs whose names match this regular expression")

var (
	ctx       context.Context // done when the test is interrupted
	project   string
	suiteDir  string
	someSuite = sync.OnceValues(func() (*broken.Suite, error) { return broken.BuildSuite(ctx, project, suiteDir) })
)

func TestMain(m *testing.M) {
	flag.Parse()
	status, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(status)
}

func runAll(m *testing.M) (status int, err error) {
	var stop func()
	ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if project, err = filepath.Abs("../.."); err != nil {
		return 0, err
	}
	if suiteDir, err = os.MkdirTemp("", "specs-broken-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(suiteDir)
	// Whatever the judge leaves is reparented to us, and found.
	if err := harness.AdoptOrphans(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// programsAtOnce keeps two cores busy: most of the time a program waits for a limit of the contract.
const programsAtOnce = 5

func TestKillMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	others, err := broken.Languages("languages")
	must(t, err)
	begin := time.Now()
	verdicts := judgeAll(t, chosen(t, append(load(t), others...)), nil)
	again(t, verdicts)
	broken.Matrix(os.Stdout, verdicts)
	t.Logf("in %v", time.Since(begin).Round(time.Second))
	for _, v := range verdicts {
		t.Run(v.Program.Name, func(t *testing.T) {
			if v.Skipped != "" {
				t.Skip(v.Skipped)
			}
			for _, line := range v.Wrong() {
				t.Error(line)
			}
		})
	}
}

// again judges each program whose verdict was wrong once more, alone, and logs that. Sixteen processes on a few cores
// can make a program miss a time limit.
func again(t *testing.T, verdicts []broken.Verdict) {
	suite, err := someSuite()
	must(t, err)
	for i, v := range verdicts {
		if wrong := v.Wrong(); v.Skipped == "" && len(wrong) > 0 {
			t.Logf("%s is judged again, alone, since it %s", v.Program.Name, strings.Join(wrong, "; "))
			verdicts[i] = verdictOn(suite, v.Program, t.TempDir(), nil)
		}
	}
}

func chosen(t *testing.T, all []broken.Program) (chosen []broken.Program) {
	name, err := regexp.Compile(*only)
	must(t, err)
	for _, p := range all {
		if name.MatchString(p.Name) {
			chosen = append(chosen, p)
		}
	}
	return chosen
}

// judgeAll judges programs on the given rows, or on all rows that apply to them.
func judgeAll(t *testing.T, programs []broken.Program, rows []string) []broken.Verdict {
	suite, err := someSuite()
	must(t, err)
	verdicts := make([]broken.Verdict, len(programs))
	slots := make(chan struct{}, programsAtOnce)
	var wg sync.WaitGroup
	for i, p := range programs {
		slots <- struct{}{}
		dir := t.TempDir()
		wg.Go(func() {
			verdicts[i] = verdictOn(suite, p, dir, rows)
			<-slots
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		t.Fatal("interrupted")
	}
	return verdicts
}

func verdictOn(suite *broken.Suite, p broken.Program, dir string, rows []string) (v broken.Verdict) {
	v.Program = p
	if p.Root && os.Geteuid() != 0 {
		v.Skipped = "only a server that root starts shows it"
		return v
	}
	if missing := p.Missing(); missing != "" {
		v.Skipped = "there is no " + missing
		return v
	}
	file, err := p.Build(ctx, project, dir)
	if err == nil {
		v.Results, err = suite.Judge(ctx, p.Program, file, p.Rows(rows...))
	}
	v.Err = err
	return v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
