package harness_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"daemonlab/specs/harness"
)

// TestWhoFailed starts a program that prints the launcher's failure message, then makes the launcher fail.
func TestWhoFailed(t *testing.T) {
	t.Setenv(harness.ServerVariable, "/bin/true")
	t.Setenv(harness.ClientVariable, "/bin/true")
	p, err := harness.FindPrograms(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho launch: x >&2\nexit 125\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []harness.Setting{{}, harness.Hostile()} {
		start, err := p.Run(t.Context(), setting, program)
		if err != nil || start.Exit != 125 || start.Stderr != "launch: x\n" {
			t.Errorf("%+v, %v", start, err)
		}
	}
	start, err := p.Run(t.Context(), harness.Setting{Orders: []string{"--rlimit=nofile=2:1"}}, program)
	if !errors.Is(err, harness.ErrSuite) {
		t.Errorf("%+v, %v", start, err)
	}
	p.Launcher = "/nonexistent"
	if start, err := p.Run(t.Context(), harness.Setting{}, program); !errors.Is(err, harness.ErrSuite) {
		t.Errorf("%+v, %v", start, err)
	}
}
