package broken

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// compilers are what each directory of languages needs beside make.
var compilers = map[string]string{"cpp": "g++", "python": "python3"}

// Languages returns the programs that know the contract only, and share no line with the reference or the solution in C:
// a server and a client of each directory. They must fail nothing.
func Languages(dir string) (programs []Program, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		language := e.Name()
		if compilers[language] == "" {
			return nil, fmt.Errorf("%s: nobody knows what builds it", filepath.Join(dir, language))
		}
		for _, program := range []string{"server", "client"} {
			programs = append(programs, Program{
				Name: "correct-" + language + "-" + program, Fault: "none: written in another language.",
				Program: program, Language: language, makefile: filepath.Join(dir, language),
			})
		}
	}
	return programs, nil
}

// buildByMake builds a program of a directory with a Makefile as the judge of a submission does.
func (p *Program) buildByMake(ctx context.Context, dir string) (string, error) {
	file := filepath.Join(dir, binary(p.Program))
	makefile, err := filepath.Abs(p.makefile)
	if err != nil {
		return "", err
	}
	return file, run(ctx, makefile, "make", "-s", "BIN="+dir, file)
}
