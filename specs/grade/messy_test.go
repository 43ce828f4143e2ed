package main_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"daemonlab/specs/check"
	"daemonlab/specs/grade/class"
)

// The smallest submissions: a server that does nothing and fails every row, and no client, whose rows take seconds.
const (
	program  = "int main(void) { return 1; }\n"
	makefile = "all:\n\tmkdir -p bin\n\tgcc -o bin/mqfiled m.c\n"
	goMain   = "package main\n\nfunc main() {}\n"
)

var small = map[string]string{"Makefile": makefile, "m.c": program}

// messy is one entry of a class as people and platforms leave them.
type messy struct {
	files   map[string]string // "@c": the C solution; archives are packed of the files below their names
	verdict class.Verdict
	got     int
	why     string // in why it was not graded, or its notes
	looks   int    // commands that grade it as it was probably meant
	meant   int    // points of that
	needs   string // program without which the command cannot work
}

var messyClass = map[string]messy{
	"ana":                                {files: map[string]string{"@c": ""}, verdict: class.Graded, got: 100},
	"O'Neil -rf":                         {files: small, verdict: class.Graded},
	"luis.zip":                           {files: small, verdict: class.Graded},
	"eva.tar":                            {files: small, verdict: class.Graded},
	"eva":                                {files: map[string]string{"@c": ""}, verdict: class.Graded, got: 100},
	"eva.built.tar":                      {files: small, verdict: class.Graded},
	"leo.tar.gz":                         {files: small, verdict: class.Graded},
	"mia.tar.xz":                         {files: below("lab", small), verdict: class.Graded, why: "found in lab"},
	"bea.tar.zst":                        {files: small, verdict: class.Graded},
	"max.tgz":                            {files: below("a/b/c", small), verdict: class.Graded, why: "found in a/b/c"},
	"Ana Núñez_1_assignsubmission_file_": {verdict: class.Graded, why: "found in lab"},
	"Bo_2_assignsubmission_file_":        {files: small, verdict: class.Graded},
	"Cy_3_assignsubmission_file_":        {files: map[string]string{"onlinetext.html": "<p>"}, verdict: class.NoBuild, why: "only onlinetext.html"},
	"roeric_5":                           {verdict: class.NoBuild, why: "C code without a Makefile", looks: 1},
	"poe_6":                              {verdict: class.NoBuild, why: "only report.pdf"},
	"submission_7":                       {files: small, verdict: class.Graded},
	"submission_8":                       {files: below("daemonlab", small), verdict: class.Graded},
	"lab-github":                         {files: map[string]string{".git/HEAD": "", "Makefile": makefile, "m.c": program}, verdict: class.Graded},
	"lab-main.zip":                       {files: below("lab-main", small), verdict: class.Graded},
	"Li Wei - lab.zip":                   {files: both(below("__MACOSX", small), small), verdict: class.Graded},
	"two":                                {files: both(below("old", small), below("new", small)), verdict: class.NoBuild, why: "2 programs, in new, old", looks: 2},
	"notes.txt":                          {verdict: class.NotOne, why: "a file"},
	"empty":                              {files: map[string]string{}, verdict: class.NoBuild, why: "there is no file in it"},
	"sources-below":                      {files: below("Lab 3/src", map[string]string{"@c": ""}), verdict: class.Graded, got: 100},
	"cmake":                              {files: map[string]string{"CMakeLists.txt": "project(p C)\nadd_executable(mqfiled m.c)\n", "m.c": program}, verdict: class.NoBuild, why: "CMake", looks: 1, needs: "cmake"},
	"meson":                              {files: map[string]string{"l/meson.build": "project('p', 'c')\nexecutable('mqfiled', 'm.c')\n", "l/m.c": program}, verdict: class.NoBuild, why: "Meson", looks: 1, needs: "meson"},
	"bare-c":                             {files: map[string]string{"src/mqfiled.c": "#include \"p.h\"\n" + program, "mqfile.c": program, "common.c": "", "include/p.h": ""}, verdict: class.NoBuild, why: "C code without a Makefile", looks: 1},
	"bare-go":                            {files: map[string]string{"server/m.go": goMain, "client/m.go": goMain}, verdict: class.NoBuild, why: "go mod init", looks: 1},
	"wrong-names":                        {files: map[string]string{"@c": "", "GNUmakefile": "include Makefile\nall:\n\tmv bin/mqfiled bin/server\n\tmv bin/mqfile client\n"}, verdict: class.NoBuild, why: "no bin/mqfiled, bin/mqfile, but there is bin/server, client", looks: 1, meant: 100},
	"one-wrong-name":                     {files: map[string]string{"@c": "", "GNUmakefile": "include Makefile\nall:\n\tmv bin/mqfile bin/cliente\n"}, verdict: class.Graded, got: 50, why: "no bin/mqfile, but there is bin/cliente", looks: 1, meant: 100},
	"second-target":                      {files: map[string]string{"Makefile": "help:\n\t@echo help\n" + makefile, "m.c": program}, verdict: class.NoBuild, why: "make without arguments", looks: 1},
	"built-only":                         {files: map[string]string{"bin/mqfiled": "\x7fELF", "mqfile.exe": "MZ\x90\x00"}, verdict: class.NoBuild, why: "no source"},
	"built-copied":                       {files: map[string]string{"Makefile": "all:\n\tmkdir -p bin\n\tcp given/mqfiled bin\n", "given/mqfiled": "\x7fELF"}, verdict: class.NoBuild, why: "needs given/mqfiled, which was handed in compiled"},
	"in-place":                           {files: map[string]string{"Makefile": "all:\n\tchmod +x bin/mqfiled\n", "bin/mqfiled": "#!/bin/sh\n"}, verdict: class.NoBuild, why: "removed before the build, which must make them: bin/mqfiled;"},
	"built-elsewhere":                    {files: map[string]string{"Makefile": makefile + "\tsed -i s/GLIBC_2.34/GLIBC_2.99/ bin/mqfiled\n", "m.c": program}, verdict: class.NoBuild, why: "because GLIBC_2.99 is missing"},
	"built-too":                          {files: map[string]string{"Makefile": makefile, "m.c": program, "m.o": "\x7fELF", "bin/mqfiled": "\x7fELF"}, verdict: class.Graded, why: "removed before the build: bin/mqfiled, m.o"},
	"crlf":                               {files: map[string]string{"Makefile": strings.ReplaceAll(makefile, "\n", "\r\n"), "m.c": program}, verdict: class.Graded},
	"crlf-script":                        {files: map[string]string{"Makefile": "all:\n\t./build.sh\n", "build.sh": "#!/bin/sh\r\nmkdir bin\r\ngcc -o bin/mqfiled m.c\r\n", "m.c": program}, verdict: class.NoBuild, why: "CRLF", looks: 1},
	"crlf-program":                       {files: map[string]string{"Makefile": "all:\n\tmkdir bin && cp m bin/mqfiled\n", "m": "#!/bin/sh\r\n"}, verdict: class.Graded},
	"no-interpreter":                     {files: map[string]string{"Makefile": "all:\n\tmkdir bin && cp m bin/mqfiled\n", "m": "exit\n"}, verdict: class.Graded},
	"byte-order-mark":                    {files: map[string]string{"go.mod": "\ufeffmodule m\n", "server/m.go": goMain, "client/m.go": goMain}, verdict: class.NoBuild, why: "byte order mark in go.mod", looks: 1},
	"utf-16":                             {files: map[string]string{"Makefile": wide("all:\r\n\tmkdir bin\r\n\tgcc -o bin/mqfiled m.c\r\n"), "m.c": wide(program)}, verdict: class.NoBuild, why: "in Makefile, m.c: save", looks: 1},
	"newer-go":                           {files: map[string]string{"go.mod": "module m\n\ngo 1.99\n", "server/m.go": goMain, "client/m.go": goMain}, verdict: class.NoBuild, why: "requires Go 1.99", looks: 1},
	"no-module":                          {files: map[string]string{"go.mod": "module m\n\ngo 1.20\n\nrequire example.com/x v1.0.0\n", "server/m.go": "package main\n\nimport _ \"example.com/x\"\n\nfunc main() {}\n"}, verdict: class.NoBuild, why: "modules that are not here"},
	"go-elsewhere":                       {files: map[string]string{"go.mod": "module m\n", "cmd/mqfiled/m.go": goMain, "cmd/mqfile/m.go": goMain}, verdict: class.NoBuild, why: "belong in ./server", looks: 1},
	".DS_Store":                          {verdict: class.NotOne, why: "to the system"},
	"cut.tar.gz":                         {verdict: class.NoBuild, why: "there is no file in it"},
}

// loose are files that lie in the class itself.
var loose = map[string]string{
	"notes.txt": "", "roeric_LATE_5_11_server.c": program, "roeric_LATE_5_12_client.c": program, "poe_6_13_report.pdf": "",
	"cut.tar.gz": "", ".DS_Store": "", "submission_metadata.yml": "submission_7:\n  :submitters:\n  - :name: Sue\n",
}

// wide is an ASCII text in UTF-16, with its byte order mark.
func wide(text string) string {
	return "\xff\xfe" + strings.ReplaceAll(text, "", "\x00")[1:]
}

// below puts files below folders.
func below(folder string, files map[string]string) map[string]string {
	all := map[string]string{}
	for path, content := range files {
		all[filepath.Join(folder, path)] = content
	}
	return all
}

func both(a, b map[string]string) map[string]string {
	maps.Copy(a, b)
	return a
}

// handIn makes a folder, or an archive of it.
func handIn(t *testing.T, dir, name string, files map[string]string) {
	t.Helper()
	folder, archive := filepath.Join(dir, name), filepath.Join(dir, name)
	if packed.MatchString(name) {
		folder = t.TempDir()
	}
	must(t, errors.Join(os.MkdirAll(folder, 0o755), os.MkdirAll(dir, 0o755)))
	for file, content := range files {
		if filepath.Base(file) == "@c" {
			copyC(t, "../../lab/c", filepath.Join(folder, filepath.Dir(file)))
			continue
		}
		check.Files(t, folder, content, 0o755, file)
	}
	switch {
	case strings.HasSuffix(name, ".zip"):
		check.Zip(t, archive, folder)
	case packed.MatchString(name):
		must(t, exec.Command("tar", "-C", folder, "-caf", archive, ".").Run())
	}
}

var packed = regexp.MustCompile(`\.(zip|tar|tgz|tar\.[a-z0-9]+)$`)

// TestMessyClass grades a class as platforms export it and people leave it: killed four times, interrupted and resumed,
// as it was probably meant, then again with what the instructor has adjusted and a student has changed.
func TestMessyClass(t *testing.T) {
	check.Slow(t)
	check.Needs(t, "go", "make", "gcc", "xz", "zstd")
	dir := check.Room(t)
	submissions, out, rubric := filepath.Join(dir, "class"), filepath.Join(dir, "out"), filepath.Join(dir, "rubric.json")
	must(t, os.Mkdir(submissions, 0o755))
	for name, entry := range messyClass {
		if entry.files != nil {
			handIn(t, submissions, name, entry.files)
		}
	}
	handIn(t, filepath.Join(submissions, "Ana Núñez_1_assignsubmission_file_"), "lab.zip", below("lab", small))
	for name, content := range loose {
		add(t, filepath.Join(submissions, name), content)
	}
	add(t, rubric, `[{"id": "umask", "step": 7, "points": 50, "title": {"en": "u", "es": "u"}, "hint": {"en": "u", "es": "u"}},
		{"id": "output", "step": 11, "points": 50, "title": {"en": "o", "es": "o"}, "hint": {"en": "o", "es": "o"}}]`)
	args := []string{submissions, "--resume"}
	const kill, interrupt = syscall.SIGKILL, syscall.SIGINT
	endAmid(t, kill, out, submissions, "--rubric", rubric, "--out", out)
	for _, sig := range []syscall.Signal{kill, interrupt, kill, kill} {
		endAmid(t, sig, out, append(args, "--out", out)...)
	}
	c := grade(t, out, args...)
	seen := map[class.Name]bool{}
	for _, s := range c.Submissions {
		want, known := messyClass[string(s.Name)]
		if seen[s.Name] || !known || s.History != nil {
			t.Errorf("%v was graded twice, or is none: %v", s.Name, s.History)
		}
		seen[s.Name] = true
		t.Run(s.Name.String(), func(t *testing.T) { want.check(t, s, c) })
	}
	if len(seen) != len(messyClass) {
		t.Errorf("%d submissions of %d", len(seen), len(messyClass))
	}
	gradeAgain(t, dir, out, args)
}

func (want messy) check(t *testing.T, s class.Submission, c class.Class) {
	got, _, _ := s.Points(c.Rubric)
	if s.Verdict != want.verdict || got != want.got || !strings.Contains(s.Why+s.Notes.EN, want.why) {
		t.Errorf("%s, %d points, %q, %q\n%s", s.Verdict, got, s.Why, s.Notes.EN, s.Build.Output)
	}
	looks := 0
	for _, look := range s.Look {
		if look.Command == "" {
			continue
		}
		looks++
		if _, err := exec.LookPath(want.needs); want.needs != "" && err != nil {
			continue
		}
		cmd := exec.Command("sh", "-c", strings.Replace(look.Command, "scripts/grade", filepath.Join(kit, "grade"), 1))
		said, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", look.Command, err, said)
		}
		_, out, _ := strings.Cut(look.Command, " --out ")
		tried, err := class.LoadSubmission(out, s.Name)
		must(t, err)
		p, _, _ := tried.Points(c.Rubric)
		if tried.Trial == nil || tried.Trial.Got != want.meant || len(tried.Trial.Rows) == 0 || tried.Trial.Rows[0].ID != "umask" || p != want.got {
			t.Errorf("%s: %+v, and %d points", look.Command, tried.Trial, p)
		}
	}
	if looks != want.looks {
		t.Errorf("%d commands, want %d: %+v", looks, want.looks, s.Look)
	}
}

// endAmid starts a grader and sends it a signal when it has graded some more. It must leave nothing.
func endAmid(t *testing.T, sig syscall.Signal, out string, args ...string) {
	t.Helper()
	graded := func() int {
		files, err := filepath.Glob(filepath.Join(out, "submissions/*/submission.json"))
		must(t, err)
		return len(files)
	}
	before := graded()
	cmd := exec.Command(filepath.Join(kit, "grade"), args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+check.Room(t))
	must(t, cmd.Start())
	waitFor(t, "more to be graded", func() bool { return graded() >= before+4 })
	must(t, cmd.Process.Signal(sig))
	cmd.Wait()
	if exit := cmd.ProcessState.ExitCode(); sig == syscall.SIGINT && exit != 130 {
		t.Errorf("interrupted, it ended with %d", exit)
	}
	mustLeaveNothing(t)
}

// gradeAgain grades what has changed, and nothing else.
func gradeAgain(t *testing.T, dir, out string, args []string) {
	must(t, os.WriteFile(filepath.Join(dir, "class", "eva.tar"), nil, 0o644))
	add(t, filepath.Join(dir, "class.csv"), "name,late,points,as,reason\nana,2x10,,,two days\nluis.zip,,70,,spoken with\n"+
		"one-wrong-name,,,make; cp bin/cliente bin/mqfile,agreed\n")
	want := map[class.Name]string{"ana": "80 []", "luis.zip": "70 []", "one-wrong-name": "100 [50]", "eva.tar": "0 [0]", "cut.tar.gz": "0 []"}
	for range 2 { // the second time there is nothing to do
		c := grade(t, out, args...)
		for _, s := range c.Submissions {
			got, _, _ := s.Points(c.Rubric)
			var history []int
			for _, h := range s.History {
				history = append(history, h.Got)
			}
			text := fmt.Sprint(got, " ", history)
			if expected, ok := want[s.Name]; ok && text != expected || !ok && s.History != nil {
				t.Errorf("%v: %s, want %q", s.Name, text, expected)
			}
		}
	}
	for _, stale := range []string{"eva.tar/judge-*", "one-wrong-name/trial-*"} {
		if left, _ := filepath.Glob(filepath.Join(out, "submissions", stale)); left != nil {
			t.Errorf("evidence of an earlier grading: %q", left)
		}
	}
	must(t, os.Remove(filepath.Join(dir, "class.csv")))
	alone := filepath.Join(dir, "alone")
	must(t, os.Mkdir(alone, 0o755))
	must(t, os.Rename(filepath.Join(dir, "class", "leo.tar.gz"), filepath.Join(alone, "leo.tar.gz")))
	only := grade(t, out, alone, "--only", "leo.tar.gz", "--only", "leo.tar.gz")
	i := slices.IndexFunc(only.Submissions, func(s class.Submission) bool { return s.Name == "leo.tar.gz" })
	if len(only.Submissions) != len(messyClass) || len(only.Rubric) != 2 || len(only.Submissions[i].History) != 1 {
		t.Errorf("--only: %d submissions of %d, %+v", len(only.Submissions), len(messyClass), only.Submissions[i].History)
	}
	if twice := grade(t, out, alone, "--resume", "--runs", "2").Submissions; len(twice) != 1 || twice[0].Runs != 2 {
		t.Errorf("judged once, resumed with --runs 2: %+v", twice)
	}
}

// TestInsideTheClass grades the folder that it is in, where the results are then, too, by the table beside it.
func TestInsideTheClass(t *testing.T) {
	check.Slow(t)
	dir := filepath.Join(check.Room(t), "class")
	must(t, os.MkdirAll(filepath.Join(dir, "ana"), 0o755))
	add(t, dir+".csv", "name,points,reason\nana,70,oral\n")
	for range 2 {
		cmd := exec.Command(filepath.Join(kit, "grade"), ".", "--resume")
		cmd.Dir = dir
		said, err := cmd.CombinedOutput()
		c, loadErr := class.Load(filepath.Join(dir, "grades"))
		if must(t, errors.Join(err, loadErr)); len(c.Submissions) != 1 || c.Submissions[0].Adjust.Reason != "oral" {
			t.Errorf("%+v\n%s", c.Submissions, said)
		}
	}
}
