package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"daemonlab/specs/broken"
	"daemonlab/specs/grade/class"
)

// expected is the expected result of a submission of the sample class.
type expected struct {
	verdicts  []class.Verdict
	failed    []string // exactly these rows
	pointless bool     // instead: no points
	says      string   // must be in the build or judge output
	never     string   // must not be in it
}

var (
	graded  = []class.Verdict{class.Graded}
	noBuild = []class.Verdict{class.NoBuild}
	// These make the specs wait. Whether the time suffices depends on the machine's load.
	inTimeOrNot = []class.Verdict{class.Graded, class.Timeout}
)

const unreadable = "\xff\xfe \n\x1b[31m\\name"

// sample is the class. What is neither in testdata/sample nor in scripts is made from the project's own programs.
var sample = map[string]expected{
	"perfect-go":          {verdicts: graded},
	"perfect-c":           {verdicts: graded},
	unreadable:            {verdicts: graded},
	"leaves-daemons":      {verdicts: graded},
	"umask-022":           {verdicts: graded, failed: []string{"umask"}},
	"session-setsid-last": {verdicts: graded, failed: []string{"session"}},
	"exit-no-server":      {verdicts: graded, failed: []string{"exit"}},
	"no-client":           {verdicts: graded, says: "the build did not make bin/mqfile"},
	"empty":               {verdicts: noBuild},
	"does-not-build-c":    {verdicts: noBuild, says: "undeclared_name"},
	"does-not-build-go":   {verdicts: noBuild, says: "undefined: undeclaredName"},
	"hangs-in-build":      {verdicts: noBuild},
	"hangs-at-start":      {verdicts: inTimeOrNot, pointless: true},
	"fork-bomb":           {verdicts: inTimeOrNot, pointless: true},
	"memory-hog":          {verdicts: inTimeOrNot, pointless: true},
	"disk-filler":         {verdicts: inTimeOrNot, pointless: true, says: "the program has filled the file system"},
	"output-flood":        {verdicts: inTimeOrNot, pointless: true},
	"kills-grader":        {verdicts: graded, pointless: true, says: "the process that judged this was killed"},
	"interrupts-grader":   {verdicts: inTimeOrNot, pointless: true, says: "the process that judged this was killed"},
	"stops-grader":        {verdicts: []class.Verdict{class.Timeout}, pointless: true},
	"links-out":           {verdicts: noBuild, says: "bin/mqfiled is no program, and leads to none"},
	"signals-judge":       {verdicts: graded, pointless: true, says: "something stopped the process that judged this"},
	"reads-specs":         {verdicts: graded, pointless: true, says: "spy: 0 files could be read", never: "spy: could"},
	"writes-results":      {verdicts: graded, pointless: true, says: "forger: 0 places forged", never: "forger: wrote"},
}

// scripts are servers of the class written as a few lines of shell.
var scripts = map[string]string{
	"hangs-at-start":    "exec sleep 1000000",
	"fork-bomb":         `while :; do setsid "$0" & done`,
	"memory-hog":        "for n in 1 2 3 4; do tail /dev/zero & done; wait", // tail buffers a line that never ends
	"output-flood":      "yes 'a line that says nothing' >&2 & exec yes 'another one'",
	"disk-filler":       `for dir in /tmp /run /dev/shm /var/tmp /submission /usr /etc /; do cat /dev/zero >$dir/daemonlab-was-here & done; wait`,
	"kills-grader":      signalAll("KILL"),
	"interrupts-grader": signalAll("INT"),
	"stops-grader":      signalAll("STOP"),
}

// signalAll returns a script that keeps sending a signal to every process that it may.
func signalAll(signal string) string {
	return "while :; do for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || kill -" + signal + " ${p#/proc/} 2>/dev/null; done; done"
}

func makeSample(t *testing.T, dir string) {
	t.Helper()
	project, err := filepath.Abs("../..")
	must(t, err)
	must(t, os.CopyFS(dir, os.DirFS("testdata/sample")))
	must(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
	for name, script := range scripts {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		add(t, filepath.Join(dir, name, "mqfiled"), "#!/bin/sh\n"+script+"\n")
		add(t, filepath.Join(dir, name, "Makefile"), "all:\n\tmkdir -p bin\n\tinstall mqfiled bin\n")
	}
	add(t, filepath.Join(dir, "output-flood/GNUmakefile"), "include Makefile\nall: flood\nflood:\n\tyes | head -c 200000000\n")
	for _, part := range []string{"lab", "server", "client"} {
		must(t, os.CopyFS(filepath.Join(dir, "perfect-go", part), os.DirFS(filepath.Join(project, part))))
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		copyFile(t, filepath.Join(project, name), filepath.Join(dir, "perfect-go", name))
	}
	for _, name := range []string{"perfect-c", "leaves-daemons", "no-client", "signals-judge", unreadable} {
		copyC(t, filepath.Join(project, "lab/c"), filepath.Join(dir, name))
	}
	add(t, filepath.Join(dir, "leaves-daemons/GNUmakefile"),
		"include Makefile\nall: daemons\ndaemons:\n\tsetsid sleep 1000000 >/dev/null 2>&1 &\n.PHONY: daemons\n")
	add(t, filepath.Join(dir, "no-client/GNUmakefile"), "include Makefile\nall: bin/mqfiled\n\trm -f bin/mqfile\n")
	add(t, filepath.Join(dir, unreadable, "file \xff\n\x1b"), "")
	programs, err := broken.Load("../broken")
	must(t, err)
	for _, p := range programs {
		if _, wanted := sample[p.Name]; wanted {
			makeFault(t, p, project, filepath.Join(dir, p.Name))
		}
	}
}

// makeFault applies a patch of specs/broken. A patched C solution moves to where a submission has its sources.
func makeFault(t *testing.T, p broken.Program, project, dir string) {
	t.Helper()
	patched := dir
	if p.Language == "c" {
		patched = t.TempDir()
	}
	must(t, p.Copy(t.Context(), project, patched))
	if p.Language == "c" {
		copyC(t, filepath.Join(patched, "lab/c"), dir)
	}
}

// copyC copies a C solution without build products.
func copyC(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o755))
	for _, pattern := range []string{"*.c", "*.h", "Makefile"} {
		files, err := filepath.Glob(filepath.Join(from, pattern))
		must(t, err)
		for _, file := range files {
			copyFile(t, file, filepath.Join(to, filepath.Base(file)))
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	must(t, err)
	add(t, to, string(content))
}

func add(t *testing.T, file, content string) {
	t.Helper()
	must(t, os.WriteFile(file, []byte(content), 0o644))
}
