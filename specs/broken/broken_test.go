package broken_test

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/specs/broken"
)

var only = flag.String("only", "", "judge only programs whose names match this regular expression")

// programsAtOnce bounds what the servers under judgement take together of a user's RLIMIT_MSGQUEUE.
const programsAtOnce = 4

func TestKillMatrix(t *testing.T) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	programs := choose(t)
	suite, project := build(t, ctx)
	verdicts := make([]broken.Verdict, len(programs))
	slots := make(chan struct{}, programsAtOnce)
	var wg sync.WaitGroup
	for i, p := range programs {
		slots <- struct{}{}
		dir := t.TempDir()
		wg.Go(func() {
			verdicts[i] = verdictOn(ctx, suite, p, project, dir)
			<-slots
		})
	}
	wg.Wait()
	broken.Matrix(os.Stdout, verdicts)
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

// choose reads the patches that were asked for.
func choose(t *testing.T) (chosen []broken.Program) {
	all, err := broken.Load(".")
	must(t, err)
	name, err := regexp.Compile(*only)
	must(t, err)
	for _, p := range all {
		if name.MatchString(p.Name) {
			chosen = append(chosen, p)
		}
	}
	return chosen
}

// build builds the suite where an account that a server becomes can read it.
func build(t *testing.T, ctx context.Context) (suite *broken.Suite, project string) {
	project, err := filepath.Abs("../..")
	must(t, err)
	suite, err = broken.BuildSuite(ctx, project, t.TempDir())
	must(t, err)
	return suite, project
}

func verdictOn(ctx context.Context, suite *broken.Suite, p broken.Program, project, dir string) (v broken.Verdict) {
	v.Program = p
	if p.Root && os.Geteuid() != 0 {
		v.Skipped = "only a server that root starts shows it"
		return v
	}
	if missing := p.Missing(); missing != "" {
		v.Skipped = "there is no " + missing
		return v
	}
	begin := time.Now()
	file, err := p.Build(ctx, project, dir)
	if err == nil {
		v.Results, err = suite.Judge(ctx, p.Program, file, p.Rows())
	}
	v.Err, v.Took = err, time.Since(begin)
	return v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
