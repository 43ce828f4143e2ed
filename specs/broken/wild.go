package broken

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// Wild returns the sources of the wild programs as programs that must fail, whatever they fail.
func Wild(dir string) (programs []Program, err error) {
	for _, suffix := range []string{".go", ".c"} {
		files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), suffix)
			program, _, _ := strings.Cut(name, "-")
			if program != "server" && program != "client" {
				return nil, fmt.Errorf("%s: its name begins with neither server- nor client-", file)
			}
			programs = append(programs, Program{Name: name, Program: program, Language: suffix[1:], source: file})
		}
	}
	return programs, nil
}

// buildWild builds a program that is a single file.
func (p *Program) buildWild(ctx context.Context, project, dir string) (string, error) {
	file := filepath.Join(dir, binary(p.Program))
	source, err := filepath.Abs(p.source)
	if err != nil {
		return "", err
	}
	if p.Language == "go" {
		return file, goBuild(ctx, project, file, source)
	}
	return file, run(ctx, dir, "gcc", "-std=gnu11", "-O1", "-pthread", "-o", file, source, "-lrt")
}
