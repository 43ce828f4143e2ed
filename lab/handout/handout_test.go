package main

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"daemonlab/specs/check"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

const project = "../.."

var must = check.Must

// eachLanguage runs a test on handouts in Go and in C, one with English texts, the other with Spanish ones.
func eachLanguage(t *testing.T, test func(t *testing.T, o options)) {
	for language, lang := range map[string]string{"go": "en", "c": "es"} {
		t.Run(language, func(t *testing.T) {
			if language == "c" {
				check.Needs(t, "gcc")
			}
			o := options{project: project, language: language, lang: lang, dir: filepath.Join(t.TempDir(), "handout")}
			test(t, o)
		})
	}
}

// filesOf returns the files of a handout, which it also writes, and the regions removed from them.
func filesOf(t *testing.T, o options, more ...file) ([]file, []region) {
	t.Helper()
	files, regions, err := o.files()
	must(t, err)
	must(t, write(o.dir, append(files, more...)))
	return files, regions
}

// build builds a folder as a student would, and fails the test if the compiler prints anything.
func build(t *testing.T, o options) {
	t.Helper()
	commands := [][]string{{"go", "vet", "./..."}, {"go", "build", "-o", "bin/mqfiled", "./server"},
		{"go", "build", "-o", "bin/mqfile", "./client"}}
	if o.language == "c" {
		commands = [][]string{{"make", "-s"}}
	}
	for _, command := range commands {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir = o.dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly -buildvcs=false -trimpath", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
}

type verdict struct {
	Score int
	Specs []struct {
		ID, Status string
		Points     int
		Finding    *finding.Finding
	}
}

// judge runs the folder's own judge command.
func judge(t *testing.T, o options, more ...string) (v verdict) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	out, err := exec.Command(filepath.Join(o.dir, "scripts/specs"), append(more, "--json", report)...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(report)
	must(t, err)
	must(t, json.Unmarshal(content, &v))
	return v
}

func TestHandoutBuildsAndSpanishLinesFit(t *testing.T) {
	eachLanguage(t, func(t *testing.T, o options) {
		for _, o.lang = range []string{"en", "es"} {
			files, _ := filesOf(t, o)
			build(t, o)
			for _, f := range files {
				if o.lang == "en" || strings.HasPrefix(f.path, "lab/") && !strings.HasPrefix(f.path, "lab/daemon/") {
					continue // same as in the project
				}
				fits := map[string]int{".go": 120, ".c": 80, ".h": 80}[path.Ext(f.path)]
				for line := range strings.Lines(strings.ReplaceAll(string(f.content), "\t", "    ")) {
					if length := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); fits > 0 && length > fits {
						t.Errorf("%s, %s: %d columns: %s", f.path, o.lang, length, line)
					}
				}
			}
		}
	})
}

// The folder's commands use the programs for the processor that uname(1) names, or say in one line that there are none.
func TestTheProgramsForTheProcessorAreFound(t *testing.T) {
	eachLanguage(t, func(t *testing.T, o options) {
		stub := func(name, says string) file {
			return file{name, []byte("#!/bin/sh\necho " + says + "\n"), 0o755}
		}
		var stubs []file
		for processor := range processors {
			for _, program := range []string{"judge", "trace"} {
				stubs = append(stubs, stub(path.Join("specs", processor, program), processor))
			}
		}
		filesOf(t, o, stubs...)
		bin := t.TempDir()
		nothing := []byte("#!/bin/sh\n")
		must(t, write(bin, []file{{"go", nothing, 0o755}, {"make", nothing, 0o755}})) // what they build does not matter
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		for _, on := range []struct {
			machine, says string
			exit          int
		}{
			{"x86_64", "amd64\n", 0},
			{"aarch64", "arm64\n", 0},
			{"riscv64", "NAME: specs has programs for x86_64 aarch64, none for riscv64\n", 2},
		} {
			must(t, write(bin, []file{stub("uname", on.machine)}))
			for _, name := range []string{"scripts/specs", "scripts/trace"} {
				cmd := exec.Command(filepath.Join(o.dir, name))
				out, err := cmd.CombinedOutput()
				expected := strings.Replace(on.says, "NAME", name, 1)
				if o.lang == "es" {
					expected = strings.NewReplacer("specs has programs for", "en specs hay programas para", "none for", "no para").Replace(expected)
				}
				if exit := cmd.ProcessState.ExitCode(); string(out) != expected || exit != on.exit {
					t.Errorf("%s on %s: exit %d (%v), %q; expected %d, %q", name, on.machine, exit, err, out, on.exit, expected)
				}
			}
		}
	})
}

func TestSubmitAsksForTheReport(t *testing.T) {
	eachLanguage(t, func(t *testing.T, o options) {
		filesOf(t, o, file{"scripts/specs", []byte("#!/bin/sh\nexit 1\n"), 0o755})
		page := map[string]string{"en": "report.md", "es": "memoria.md"}[o.lang]
		submit := func() string {
			out, err := exec.Command(filepath.Join(o.dir, "scripts/submit")).CombinedOutput()
			must(t, err)
			return string(out)
		}
		if out := submit(); !strings.Contains(out, page) {
			t.Errorf("%q does not say that %s is missing", out, page)
		}
		must(t, write(o.dir, []file{{page, []byte("three threads\n"), 0o644}}))
		if out := submit(); strings.Contains(out, page) {
			t.Errorf("%q with the page", out)
		}
		packed, err := exec.Command("tar", "-tzf", filepath.Join(o.dir, "submission.tar.gz")).Output()
		if err != nil || !strings.Contains(string(packed), "./"+page+"\n") {
			t.Errorf("%v: %s", err, packed)
		}
		// A tar that is interrupted leaves the archive that there was.
		must(t, write(o.dir, []file{{"../path/tar", []byte("#!/bin/sh\necho half >\"$2\"\nkill -INT $PPID $$\n"), 0o755}}))
		cmd := exec.Command(filepath.Join(o.dir, "scripts/submit"))
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(o.dir, "../path")+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		again, tarErr := exec.Command("tar", "-tzf", filepath.Join(o.dir, "submission.tar.gz")).Output()
		left, globErr := filepath.Glob(filepath.Join(o.dir, "submission.*"))
		if err == nil || tarErr != nil || globErr != nil || !bytes.Equal(again, packed) || len(left) != 1 {
			t.Errorf("interrupted: %v, %s\n%v: %s\n%v", err, out, tarErr, again, left)
		}
	})
}

func TestSubmitSaysThatItPackedNothing(t *testing.T) {
	eachLanguage(t, func(t *testing.T, o options) {
		filesOf(t, o, file{"scripts/specs", []byte("#!/bin/sh\nexit 2\n"), 0o755})
		cmd := exec.Command(filepath.Join(o.dir, "scripts/submit"))
		out, err := cmd.CombinedOutput()
		why := map[string]string{"en": "nothing was packed", "es": "no se ha empaquetado nada"}[o.lang]
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), why) {
			t.Errorf("%v: %q does not say %q", err, out, why)
		}
	})
}

func TestEveryMissingStepIsReported(t *testing.T) {
	check.Slow(t)
	eachLanguage(t, func(t *testing.T, o options) {
		must(t, o.make(t.Context()))
		for _, script := range []string{"scripts/specs", "scripts/trace"} {
			help, err := exec.Command(filepath.Join(o.dir, script), "--help").Output()
			must(t, err)
			begin := map[string]string{"en": "usage: ", "es": "uso: "}[o.lang]
			if !bytes.HasPrefix(help, []byte(begin+script)) || bytes.Contains(help, []byte("--lang")) {
				t.Errorf("%s --help: not only in the folder's language: %s", script, help)
			}
		}
		watch := harness.NewStopwatch()
		v := judge(t, o)
		inTime := watch.Within(30 * time.Second)
		t.Logf("%d points, judged in %v", v.Score, watch.Took())
		if v.Score > 15 {
			t.Errorf("%d points for nothing", v.Score)
		}
		if !inTime {
			t.Errorf("judging took %v", watch.Took())
		}
		for _, s := range v.Specs {
			if s.Status == "passed" || s.Status == "skipped" {
				continue
			}
			if s.Status != "failed" || s.Finding == nil || s.Finding.Saw.In(o.lang) == "" {
				t.Errorf("%s: %s: %v", s.ID, s.Status, s.Finding)
			}
		}
	})
}

// solve puts the removed regions back into a handout, and the packages that the reference needs.
func solve(t *testing.T, o options) {
	t.Helper()
	for _, p := range append(parts[o.language], part{from: "lab/procfs", to: "lab/procfs"}, part{from: "lab/pidfd", to: "lab/pidfd"},
		part{from: "lab/only64", to: "lab/only64"}) {
		entries, err := os.ReadDir(filepath.Join(o.project, p.from))
		must(t, err)
		for _, e := range entries {
			if !isSource(e.Name()) {
				continue
			}
			source, err := os.ReadFile(filepath.Join(o.project, p.from, e.Name()))
			must(t, err)
			must(t, write(o.dir, []file{{path.Join(p.to, e.Name()), withoutMarks(source), 0o644}}))
		}
	}
}

func TestSolvedHandoutGetsAllPoints(t *testing.T) {
	check.Slow(t)
	eachLanguage(t, func(t *testing.T, o options) {
		must(t, o.make(t.Context()))
		solve(t, o)
		build(t, o)
		if v := judge(t, o); v.Score != rubric.Total {
			t.Errorf("%d points: %+v", v.Score, v.Specs)
		}
	})
}

// upTo puts back the regions of a source whose first id belongs to a step up to this one, and those without ids.
func upTo(step int, source []byte) []byte {
	var left bytes.Buffer
	done := false // for the current region
	for line := range bytes.Lines(source) {
		m, isMark := parseMark(strings.TrimSpace(string(line)))
		if m.kind == markBegin {
			ids, _, _ := strings.Cut(m.text, ":")
			first, _, _ := strings.Cut(ids, " ")
			row, _ := rubric.Find(rubric.Standard(), first)
			done = row.Step <= step
		}
		if !isMark || !done {
			left.Write(line)
		}
		done = done && m.kind != markEnd
	}
	return left.Bytes()
}

// The README promises that steps 1 to 7 turn green in order, and names the rows that need a later step. In step 7 the
// guide has students write the PID file after the code of daemonize.c.
func TestStepsCanBeTakenInOrder(t *testing.T) {
	check.Slow(t)
	check.Needs(t, "gcc")
	o := options{project: project, language: "c", lang: "es", dir: filepath.Join(t.TempDir(), "handout")}
	must(t, o.make(t.Context()))
	for step := 1; step <= 8; step++ {
		for _, name := range []string{"daemonize.c", "pidfile.c"} {
			source, err := os.ReadFile(filepath.Join(project, "lab/c", name))
			must(t, err)
			left, _, err := cut(name, upTo(step, source), newTodos(o.lang).writer(name))
			must(t, err)
			must(t, write(o.dir, []file{{name, left, 0o644}}))
			if step == 7 && name == "daemonize.c" {
				for _, s := range judge(t, o, "--id", "stdio", "--id", "umask", "--id", "cwd").Specs {
					if s.Status == "failed" {
						t.Errorf("before the PID file: %s: %+v", s.ID, s.Finding.Saw)
					}
				}
			}
		}
		judged := []string{"--step", fmt.Sprint(step)}
		if step == 8 {
			judged = []string{"--id", "instance"}
		}
		for _, s := range judge(t, o, judged...).Specs {
			later := step == 7 && (s.ID == "ready" || s.ID == "instance")
			if s.Status == "failed" && !later {
				t.Errorf("after step %d: %s: %+v", step, s.ID, s.Finding.Saw)
			}
		}
	}
	for _, name := range []string{"transfer.c", "clock.h"} { // `failure` needs its root
		source, err := os.ReadFile(filepath.Join(project, "lab/c", name))
		must(t, err)
		must(t, write(o.dir, []file{{name, withoutMarks(source), 0o644}}))
	}
	for _, s := range judge(t, o, "--id", "ready", "--step", "8", "--step", "9", "--step", "10").Specs {
		if s.Finding == nil || s.ID != "notify" && s.Finding.See != "notify" {
			t.Errorf("without a queue: %s: %+v", s.ID, s.Finding)
		}
	}
}

func TestHandoutIsTheReferenceExceptForTODOs(t *testing.T) {
	eachLanguage(t, func(t *testing.T, o options) {
		for _, p := range parts[o.language] {
			todo := newTodos(o.lang)
			files, regions, err := o.sources(p, todo)
			must(t, err)
			stands := map[string]bool{} // replacements of regions
			for _, r := range regions {
				for _, line := range r.todo {
					stands[strings.TrimSpace(line)] = true
				}
			}
			for _, f := range files {
				source, err := os.ReadFile(filepath.Join(o.project, p.from, path.Base(f.path)))
				must(t, err)
				if p.solution {
					source = todo.translate(f.path, source)
				}
				rest := strings.Split(string(withoutMarks(source)), "\n")
				for line := range strings.Lines(string(f.content)) {
					line = strings.Join(strings.Fields(line), " ") // gofmt realigns what is left
					if stands[line] {
						continue
					}
					at := slices.IndexFunc(rest, func(l string) bool { return strings.Join(strings.Fields(l), " ") == line })
					if at < 0 {
						t.Fatalf("%s: not of the reference, or not there: %s", f.path, line)
					}
					rest = rest[at+1:]
				}
			}
		}
	})
}

// aLink matches a Markdown link to a file.
var aLink = regexp.MustCompile(`\]\(([^)#:]+)`)

// What a handout must contain, and what it must not: marks, empty files, and names of things that only the project has.
func TestAHandoutIsComplete(t *testing.T) {
	eachLanguage(t, func(t *testing.T, o options) {
		files, _ := filesOf(t, o)
		var all bytes.Buffer
		for _, f := range files {
			all.Write(f.content)
			text := strings.TrimSpace(string(f.content))
			if text == "" || !strings.Contains(text, "\n") && strings.HasPrefix(text, "package ") {
				t.Errorf("%s: nothing in it but %q", f.path, text)
			}
			if f.path != "README.md" && f.path != "guide/README.md" {
				continue
			}
			for _, link := range aLink.FindAllSubmatch(f.content, -1) {
				to := path.Join(path.Dir(f.path), string(link[1]))
				if !slices.ContainsFunc(files, func(f file) bool { return f.path == to }) {
					t.Errorf("%s links to %s", f.path, to)
				}
			}
		}
		word := map[string]string{"en": "step", "es": "paso"}[o.lang]
		for _, row := range rubric.Standard() {
			if todo := fmt.Sprintf("TODO %s %d (%s)", word, row.Step, row.ID); !bytes.Contains(all.Bytes(), []byte(todo)) {
				t.Errorf("no %q", todo)
			}
		}
		for _, missing := range []string{"scripts/demo", "scripts/compare", "scripts/handout", "lab/sysv", "    go test"} {
			if at := bytes.Index(all.Bytes(), []byte(missing)); at >= 0 {
				t.Errorf("it mentions %s: %q", missing, all.Bytes()[max(0, at-60):at+60])
			}
		}
		for line := range strings.Lines(all.String()) {
			if _, isMark := parseMark(strings.TrimSpace(line)); isMark {
				t.Errorf("a mark is left: %s", line)
			}
		}
	})
}

// telling reports whether a line of the solution is distinctive: not a bracket, nor common to all programs.
func telling(line string) bool {
	const enough = 24
	return len(line) >= enough && !strings.HasPrefix(line, "#include ") && !strings.HasPrefix(line, `"`) &&
		!strings.HasPrefix(line, "/* ----")
}

// given are lines of the solution that also occur in given files, where they give nothing away.
var given = []string{
	"static void handle_signals(void)",       // the server's; the client has one too
	"err = unix.Fstat(fd, &st)",              // of a log file as well as of a served one
	"if err := catchCrashes(); err != nil {", // in the foreground as well as in the daemon
}

func TestNoLineOfTheSolutionIsInAHandout(t *testing.T) {
	check.Slow(t)
	eachLanguage(t, func(t *testing.T, o options) {
		must(t, o.make(t.Context()))
		_, regions, err := o.files()
		must(t, err)
		all, lines := check.Tree(t, o.dir), map[string]map[string]bool{} // by file name
		for name, content := range all {
			lines[name] = map[string]bool{}
			for line := range strings.Lines(content) {
				lines[name][strings.TrimSpace(line)] = true
			}
		}
		compared := 0
		for _, r := range regions {
			for _, line := range r.removed {
				line = strings.TrimSpace(line)
				if !telling(line) || slices.Contains(given, line) {
					continue
				}
				compared++
				for name := range all {
					if strings.HasPrefix(name, "lab/mq/") || strings.HasPrefix(name, "lab/wire/") || strings.Contains(name, "/reference/") {
						continue // given whole, or as programs without symbols, which contain its texts
					}
					if lines[name][line] || strings.HasPrefix(name, "specs/") && strings.Contains(all[name], line) {
						t.Errorf("%s has a line of %s: %s", name, r.file, line)
					}
				}
			}
		}
		programsTellNothing(t, all)
		t.Logf("%d lines compared with %d files", compared, len(all))
		if compared < 500 {
			t.Error("that is too few")
		}
	})
}

// programsTellNothing checks the programs of a handout, given all its files by name.
func programsTellNothing(t *testing.T, all map[string]string) {
	absolute, err := filepath.Abs(project)
	must(t, err)
	for name, processor := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		for _, program := range []string{"judge", "launch", "trace", "specs.test"} {
			program = path.Join("specs", name, program)
			image, err := elf.NewFile(strings.NewReader(all[program]))
			must(t, err)
			if image.Machine != processor {
				t.Errorf("%s is for %v", program, image.Machine)
			}
			for _, pkg := range []string{"server", "client", "lab/daemon"} {
				if strings.Contains(all[program], "daemonlab/"+pkg+".") {
					t.Errorf("%s has functions of %s", program, pkg)
				}
			}
			if strings.Contains(all[program], absolute) {
				t.Errorf("%s names a directory of this machine", program)
			}
		}
	}
}
