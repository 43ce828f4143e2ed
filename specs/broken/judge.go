package broken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// Suite is the suite as students use it: the judge, with all that it needs next to it.
type Suite struct {
	dir     string
	servers chan struct{} // an entry for each running server
	taking  sync.Mutex    // held while taking, so that two takers do not deadlock
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
	servers := serversOfUser
	if os.Geteuid() == 0 {
		servers = serversOfRoot
	}
	return &Suite{dir: dir, servers: make(chan struct{}, servers)},
		run(ctx, project, "go", "test", "-c", "-o", filepath.Join(dir, "specs.test"), "./specs")
}

// Result is the judge's verdict on one row.
type Result struct {
	ID, Status string
	Finding    *finding.Finding
	Why        rubric.Text
}

// See returns the row whose fault hides this one, if any.
func (r Result) See() string {
	if r.Finding == nil {
		return ""
	}
	return r.Finding.See
}

// Said returns the judge's message for the row.
func (r Result) Said() string {
	if r.Finding == nil {
		return r.Why.EN
	}
	return r.Finding.Whole(rubric.Row{}, "en", 0)
}

// Each server has a request queue of 45 kB, and RLIMIT_MSGQUEUE allows 800 kB for all queues of a user; with less room
// a server makes a queue that is too shallow.
const (
	rowsAtOnce        = 2 // per program, each with one server at a time
	serversOfInstance = 8 // started at once for the row `instance`
	serversOfRoot     = 17
	serversOfUser     = 13 // whose reply queues count too
)

// Judge judges a program on the rows, on `instance` separately.
func (s *Suite) Judge(ctx context.Context, program, file string, rows []string) (results []Result, err error) {
	if slices.Contains(rows, "instance") {
		results, err = s.judge(ctx, program, file, []string{"instance"}, serversOfInstance)
		rows = slices.DeleteFunc(rows, func(id string) bool { return id == "instance" })
	}
	if err != nil {
		return results, err
	}
	more, err := s.judge(ctx, program, file, rows, rowsAtOnce)
	return append(results, more...), err
}

// take waits until that many servers may be started, and returns a function that gives the places back.
func (s *Suite) take(servers int) (give func()) {
	s.taking.Lock()
	defer s.taking.Unlock()
	for range servers {
		s.servers <- struct{}{}
	}
	return func() {
		for range servers {
			<-s.servers
		}
	}
}

func (s *Suite) judge(ctx context.Context, program, file string, rows []string, servers int) ([]Result, error) {
	defer s.take(servers)()
	report := filepath.Join(filepath.Dir(file), "report.json")
	args := []string{"--" + program, file, "--json", report, "--jobs", fmt.Sprint(rowsAtOnce)}
	for _, id := range rows {
		args = append(args, "--id", id)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.dir, "judge"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // lets it clean up
	out, err := cmd.CombinedOutput()
	content, noReport := os.ReadFile(report)
	if noReport != nil {
		return nil, fmt.Errorf("judge %s: %w\n%s", strings.Join(args, " "), errors.Join(err, noReport), out)
	}
	os.Remove(report)
	var verdict struct{ Specs []Result }
	return verdict.Specs, json.Unmarshal(content, &verdict)
}
