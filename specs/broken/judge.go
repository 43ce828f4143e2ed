package broken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Suite is the suite as a student meets it: the judge, with all that it needs beside it.
type Suite struct {
	dir      string
	instance sync.Mutex
}

// BuildSuite builds judge, specs, launcher and the reference into dir.
func BuildSuite(ctx context.Context, project, dir string) (*Suite, error) {
	for file, pkg := range map[string]string{
		"judge": "./specs/judge", "launch": "./specs/launch", "mqfiled": "./server", "mqfile": "./client",
	} {
		if err := goBuild(ctx, project, filepath.Join(dir, file), pkg); err != nil {
			return nil, err
		}
	}
	return &Suite{dir: dir}, run(ctx, project, "go", "test", "-c", "-o", filepath.Join(dir, "specs.test"), "./specs")
}

// Result is the judge's verdict on one row.
type Result struct {
	ID, Status, Evidence string
}

// rowsAtOnce is how many rows of one program are judged at a time.
const rowsAtOnce = 2

// Judge judges a program by the rows. The servers of the row `instance`, eight at once, take half of what
// RLIMIT_MSGQUEUE lets a user have, so that row is judged for one program at a time.
func (s *Suite) Judge(ctx context.Context, program, file string, rows []string) ([]Result, error) {
	var results, more []Result
	var others []string
	var err error
	for _, id := range rows {
		if id != "instance" {
			others = append(others, id)
			continue
		}
		s.instance.Lock()
		more, err = s.judge(ctx, program, file, []string{id})
		s.instance.Unlock()
		results = append(results, more...)
	}
	if err == nil {
		more, err = s.judge(ctx, program, file, others)
	}
	return append(results, more...), err
}

func (s *Suite) judge(ctx context.Context, program, file string, rows []string) ([]Result, error) {
	report := filepath.Join(filepath.Dir(file), "report.json")
	args := []string{"--" + program, file, "--json", report, "--jobs", fmt.Sprint(rowsAtOnce)}
	for _, id := range rows {
		args = append(args, "--id", id)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.dir, "judge"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it cleans up before it ends
	out, err := cmd.CombinedOutput()
	content, noReport := os.ReadFile(report)
	if noReport != nil {
		return nil, fmt.Errorf("judge %s: %w\n%s", strings.Join(args, " "), errors.Join(err, noReport), out)
	}
	os.Remove(report)
	var verdict struct{ Specs []Result }
	return verdict.Specs, json.Unmarshal(content, &verdict)
}
