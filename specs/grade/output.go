package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// capped keeps the beginning of what is written to it, and drops the rest.
type capped struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	limit int
}

func (c *capped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf.Write(p[:min(len(p), c.limit-c.buf.Len())])
	return len(p), nil
}

func (c *capped) Bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.buf.Bytes())
}

// keep puts evidence into the submission's directory of results; what is empty is none.
func (a *attempt) keep(name string, content []byte) error {
	if len(content) == 0 {
		return nil
	}
	if a.o.as != "" {
		name = trial + name
	}
	return os.WriteFile(filepath.Join(a.Name.Dir(a.o.out), name), content, 0o644)
}

// trial begins the names of a trial's evidence.
const trial = "trial-"

var evidence = regexp.MustCompile(`^(` + trial + `)?(build|judge-.*)\.(log|json)$`)

// makeDir makes the submission's directory of results, or leaves in it no evidence but of the grading that a trial is beside.
func (g *grader) makeDir(dir string) error {
	err := os.MkdirAll(dir, 0o755)
	files, readErr := os.ReadDir(dir)
	err = errors.Join(err, readErr)
	for _, file := range files {
		if evidence.MatchString(file.Name()) && (g.o.as == "" || strings.HasPrefix(file.Name(), trial)) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, file.Name())))
		}
	}
	return err
}
