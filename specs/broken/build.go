package broken

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// compilers maps the directories of languages to what they need in addition to make.
var compilers = map[string]string{"cpp": "g++", "python": "python3"}

// Missing returns a command that the build needs and this machine lacks, or "".
func (p *Program) Missing() string {
	commands := []string{"git", "go"}
	if p.Language == "c" {
		commands = []string{"git", "make", "gcc"}
	} else if compiler := compilers[p.Language]; compiler != "" {
		commands = []string{"make", compiler}
	}
	for _, command := range commands {
		if _, err := exec.LookPath(command); err != nil {
			return command
		}
	}
	return ""
}

// Build builds in dir, which is empty, and returns the program's file. A patch is applied to a copy of the project's
// sources; other languages are built by make, as in judging a submission.
func (p *Program) Build(ctx context.Context, project, dir string) (file string, err error) {
	file = filepath.Join(dir, binary(p.Program))
	source, err := filepath.Abs(p.source)
	if err == nil && p.source == "" {
		err = p.Copy(ctx, project, dir)
	}
	switch {
	case err != nil:
		return "", err
	case compilers[p.Language] != "":
		return file, run(ctx, source, "make", "-s", "BIN="+dir, file)
	case p.source == "" && p.Language == "c":
		return file, run(ctx, filepath.Join(dir, "lab/c"), "make", "-s", "BIN="+dir, "CFLAGS=-std=c11 -O0 -w", file)
	case p.Language == "c":
		return file, run(ctx, dir, "gcc", "-std=gnu11", "-O1", "-pthread", "-o", file, source, "-lrt")
	case p.source == "":
		return file, goBuild(ctx, dir, file, "./"+p.Program)
	}
	return file, goBuild(ctx, project, file, source)
}

// Copy copies the project's sources into dir and applies the patch; it fails if the patch no longer fits.
func (p *Program) Copy(ctx context.Context, project, dir string) error {
	parts := []string{"go.mod", "go.sum", "client", "lab", "server"}
	if p.Language == "c" {
		parts = []string{"lab/c"}
	}
	args := slices.Concat([]string{"-R", "--parents"}, parts, []string{dir})
	if err := errors.Join(os.MkdirAll(dir, 0o755), run(ctx, project, "cp", args...)); err != nil {
		return err
	}
	return p.apply(ctx, dir)
}

func binary(program string) string {
	if program == "client" {
		return "mqfile"
	}
	return "mqfiled"
}

// goBuild trims the directory from the build, so that all copies share the build cache. The symbols stay: the row `env`
// needs them.
func goBuild(ctx context.Context, dir, file, pkg string) error {
	return run(ctx, dir, "go", "build", "-trimpath", "-buildvcs=false", "-o", file, pkg)
}

// apply accepts a patch only if it fits exactly. git must find no repository: inside one, it would silently skip files
// that are not part of it.
func (p *Program) apply(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "git", "apply", "--whitespace=nowarn", "-")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "LC_ALL=C")
	cmd.Stdin = bytes.NewReader(p.patch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the patch does not apply any more: %w\n%s", err, out)
	}
	return nil
}

func run(ctx context.Context, dir, command string, args ...string) error {
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "PWD="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", command, strings.Join(args, " "), err, out)
	}
	return nil
}
