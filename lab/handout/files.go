package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// file is a file of a handout.
type file struct {
	path    string // in the handout
	content []byte
	mode    fs.FileMode
}

// part is a directory of the project that a handout contains.
type part struct {
	from, to string
	solution bool // has regions for students to write; otherwise given whole
}

var parts = map[string][]part{
	"go": {
		{"lab/daemon", "lab/daemon", true},
		{"server", "server", true},
		{"client", "client", true},
		{"lab/mq", "lab/mq", false},
		{"lab/wire", "lab/wire", false},
		{"lab/log", "lab/log", false},
		{"lab/stdio", "lab/stdio", false},
		{"lab/version", "lab/version", false},
	},
	"c": {
		{"lab/c", ".", true},
	},
}

//go:embed files
var templates embed.FS

// files makes all files of the handout except the judging programs, and returns what was cut out of them.
func (o options) files() ([]file, []region, error) {
	var all []file
	var regions []region
	todo := newTodos(o.lang)
	for _, p := range parts[o.language] {
		files, cut, err := o.sources(p, todo)
		if err != nil {
			return nil, nil, err
		}
		all, regions = append(all, files...), append(regions, cut...)
	}
	for _, more := range []func() ([]file, error){o.module, o.guide, o.given} {
		files, err := more()
		if err != nil {
			return nil, nil, err
		}
		for _, f := range files {
			f.content = todo.translate(f.path, f.content)
			all = append(all, f)
		}
	}
	return all, regions, todo.err
}

// sources returns the files of one directory, without tests; of a solution, without files that have no mark.
func (o options) sources(p part, todo *todos) (files []file, regions []region, err error) {
	entries, err := os.ReadDir(filepath.Join(o.project, p.from))
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if !isSource(e.Name()) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(o.project, p.from, e.Name()))
		if err != nil {
			return nil, nil, err
		}
		f := file{path: path.Join(p.to, e.Name()), content: content, mode: 0o644}
		if p.solution {
			var cut []region
			if f.content, cut, err = reduce(f.path, todo.translate(f.path, content), todo); err != nil {
				return nil, nil, err
			}
			regions = append(regions, cut...)
		}
		if f.content != nil {
			files = append(files, f)
		}
	}
	return files, regions, nil
}

// gaps are the blank lines around a removed region.
var gaps = regexp.MustCompile(`\n\n\n+`)

func isSource(name string) bool {
	if strings.HasSuffix(name, "_test.go") {
		return false
	}
	return name == "Makefile" || slices.Contains([]string{".go", ".c", ".h"}, path.Ext(name))
}

// reduce removes from a source what students have to write; nil is left of one without marks.
func reduce(name string, source []byte, todo *todos) ([]byte, []region, error) {
	if !handedOut(source) {
		return nil, []region{{file: name, removed: strings.Split(string(source), "\n")}}, nil
	}
	left, regions, err := cut(name, source, todo.writer(name))
	if err != nil {
		return nil, nil, err
	}
	if path.Ext(name) == ".go" {
		left, err = tidyGo(name, left)
	}
	return bytes.TrimLeft(gaps.ReplaceAll(left, []byte("\n\n")), "\n"), regions, err
}

// module returns the files of a Go module. Of the project's dependencies it has those of the binaries.
func (o options) module() ([]file, error) {
	if o.language != "go" {
		return nil, nil
	}
	mod, err := os.ReadFile(filepath.Join(o.project, "go.mod"))
	if err != nil {
		return nil, err
	}
	sum, err := os.ReadFile(filepath.Join(o.project, "go.sum"))
	if err != nil {
		return nil, err
	}
	const head, dependency = `(?m)^(?:module|go) .*$`, `golang\.org/x/sys .*\n`
	lines := regexp.MustCompile(head).FindAllString(string(mod), -1)
	lines = append(lines, "require "+regexp.MustCompile(dependency).FindString(string(mod)))
	sums := regexp.MustCompile(`(?m)^`+dependency).FindAll(sum, -1)
	return []file{
		{"go.mod", []byte(strings.Join(lines, "\n\n")), 0o644},
		{"go.sum", bytes.Join(sums, nil), 0o644},
	}, nil
}

// projectOnly matches what refers to things that a handout lacks.
var projectOnly = regexp.MustCompile(`(?ms)^<!-- project -->$.*?^<!-- /project -->\n+`)

// guide returns lab/guide in the handout's language, without the pages for instructors.
func (o options) guide() (files []file, err error) {
	root := filepath.Join(o.project, "lab/guide")
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "instructor.md" {
			return err
		}
		if filepath.Base(filepath.Dir(name)) != o.lang { // the other language, or the page that links to both
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		content = projectOnly.ReplaceAll(content, nil)
		rest, err := filepath.Rel(root, name)
		files = append(files, file{path.Join("guide", rest), content, 0o644})
		return err
	})
	return files, err
}

// buildOf is the command that builds a student's programs.
var buildOf = map[string]string{
	"go": "export CGO_ENABLED=0; go build -o bin/mqfiled ./server && go build -o bin/mqfile ./client",
	"c":  "make -s",
}

// given returns the files that exist for handouts only.
func (o options) given() (files []file, err error) {
	for _, f := range []struct {
		from, to string
		mode     fs.FileMode
	}{
		{"README." + o.lang + ".md", "README.md", 0o644},
		{"program", "scripts/specs", 0o755},
		{"program", "scripts/trace", 0o755},
		{"submit", "scripts/submit", 0o755},
		{"gitignore", ".gitignore", 0o644},
	} {
		text, err := template.ParseFS(templates, "files/"+f.from)
		if err != nil {
			return nil, err
		}
		var content bytes.Buffer
		if err := text.Execute(&content, struct {
			Language, Lang, Build, Name string
			Processors                  map[string]string
		}{o.language, o.lang, buildOf[o.language], path.Base(f.to), processors}); err != nil {
			return nil, err
		}
		files = append(files, file{f.to, content.Bytes(), f.mode})
	}
	return files, nil
}

func write(dir string, files []file) error {
	for _, f := range files {
		name := filepath.Join(dir, f.path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, f.content, f.mode)); err != nil {
			return err
		}
	}
	return nil
}

// processors that a handout can judge on, as named by Go and by uname -m.
var processors = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// buildSpecs builds the judging programs, in a folder per processor, and next to them the reference without symbols:
// students can try their client with the reference server, and their server with its client. The judging programs
// contain nothing of the reference, and none contains paths of this machine.
func (o options) buildSpecs(ctx context.Context, dir string) error {
	for processor := range processors {
		compile := exec.CommandContext(ctx, "bash", "-c",
			". scripts/lib.sh; compile -test ./specs ./specs/judge ./specs/launch ./specs/trace")
		compile.Dir, compile.Stderr = o.project, os.Stderr // reports its progress there
		compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+processor)
		if err := compile.Run(); err != nil {
			return fmt.Errorf("GOARCH=%s: compile the specs: %w", processor, err)
		}
		to := filepath.Join(dir, processor)
		for _, build := range [][]string{
			{"build", "-o", filepath.Join(to, "judge"), "./specs/judge"},
			{"build", "-o", filepath.Join(to, "launch"), "./specs/launch"},
			{"build", "-o", filepath.Join(to, "trace"), "./specs/trace"},
			{"build", "-o", filepath.Join(to, "reference/mqfiled"), "./server"},
			{"build", "-o", filepath.Join(to, "reference/mqfile"), "./client"},
			{"test", "-c", "-o", filepath.Join(to, "specs.test"), "./specs"},
		} {
			args := append([]string{build[0], "-trimpath", "-buildvcs=false", "-ldflags=-s -w"}, build[1:]...)
			cmd := exec.CommandContext(ctx, "go", args...)
			cmd.Dir = o.project
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+processor)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("GOARCH=%s go %s: %w\n%s", processor, strings.Join(args, " "), err, out)
			}
		}
	}
	return nil
}

// tidyGo removes imports that are no longer used, which would break the build, and formats the file.
func tidyGo(file string, source []byte) ([]byte, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok {
				used[x.Name] = true
			}
		}
		return true
	})
	lines := bytes.SplitAfter(source, []byte("\n"))
	for _, spec := range parsed.Imports {
		if name := importName(spec); name != "_" && !used[name] {
			lines[set.Position(spec.Pos()).Line-1] = nil
		}
	}
	return format.Source(emptyImports.ReplaceAll(bytes.Join(lines, nil), []byte("\n")))
}

func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	name, _ := strconv.Unquote(spec.Path.Value) // valid: the parser has accepted it
	return path.Base(name)
}

// emptyImports matches a declaration with nothing left in it. gofmt does the rest.
var emptyImports = regexp.MustCompile(`\nimport \(\s*\)\n`)
