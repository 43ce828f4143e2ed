// Package bundle packs the grader for platforms that run it for one submission at a time: its programs, built ahead,
// and the Go toolchain. The platform has to provide only a C compiler.
package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"daemonlab/lab/tool"
)

//go:embed files
var files embed.FS

// Kit is what is packed.
type Kit struct {
	Programs string            // directory with the grader's programs
	GoRoot   string            // of the Go to build with
	Modules  map[string]string // directories of Go's module cache, and their names in it
}

// Programs are those that the grader consists of.
var Programs = []string{"grade", "judge", "launch", "specs.test"}

// Gradescope writes the zip that is uploaded to Gradescope as an autograder.
func Gradescope(file string, k Kit) error {
	content, err := k.pack("setup.sh", "run_autograder", "go.sh")
	if err != nil {
		return err
	}
	return tool.WriteFile(file, content, false)
}

// pack makes a zip of the kit and of scripts from files, which know its folders. The same kit gives the same bytes.
func (k Kit) pack(scripts ...string) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range scripts {
		content, err := files.ReadFile(path.Join("files", name))
		if err != nil {
			return nil, err
		}
		if err := add(z, name, 0o755, bytes.NewReader(content)); err != nil {
			return nil, err
		}
	}
	for _, name := range Programs {
		if err := addFile(z, path.Join("bin", name), filepath.Join(k.Programs, name)); err != nil {
			return nil, err
		}
	}
	if err := addTree(z, "go/root", k.GoRoot, neededOfGo); err != nil {
		return nil, err
	}
	for _, dir := range slices.Sorted(maps.Keys(k.Modules)) {
		if err := addTree(z, path.Join("go/modules", k.Modules[dir]), dir, neededOfModule); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// neededOfGo tells of a file or directory of GOROOT whether programs are built with it. What is left out is more than
// half of it: Go's own sources, its tests and documents, and the tools that check programs.
func neededOfGo(name string) bool {
	top, rest, _ := strings.Cut(name, "/")
	switch top {
	case "VERSION", "go.env", "LICENSE":
		return true
	case "bin":
		return rest == "" || rest == "go"
	case "pkg":
		tool := strings.HasPrefix(rest, "tool/") && strings.Count(rest, "/") == 2
		return !tool || slices.Contains([]string{"asm", "cgo", "compile", "link"}, path.Base(name))
	case "src":
		return rest != "cmd" && neededOfModule(name)
	}
	return name == "."
}

// neededOfModule tells the same of a module: not its tests, nor the archive that it came in.
func neededOfModule(name string) bool {
	return path.Base(name) != "testdata" && !strings.HasSuffix(name, "_test.go") && path.Ext(name) != ".zip"
}

func addTree(z *zip.Writer, name, dir string, needed func(string) bool) error {
	return fs.WalkDir(os.DirFS(dir), ".", func(below string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && !needed(below):
			return fs.SkipDir
		case entry.IsDir() || !needed(below):
			return nil
		}
		return addFile(z, path.Join(name, below), filepath.Join(dir, below))
	})
}

func addFile(z *zip.Writer, name, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	return add(z, name, mode, f)
}

func add(z *zip.Writer, name string, mode fs.FileMode, content io.Reader) error {
	header := &zip.FileHeader{Name: name, Method: zip.Deflate}
	header.SetMode(mode)
	w, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return err
}

// The files that [Classroom50] writes.
const (
	WorkflowFile = "daemonlab.yaml"
	GraderFile   = "daemonlab-grader.zip"
)

// Classroom50 writes into a directory the grader as a zip and a GitHub workflow that fetches it, and no other one.
func Classroom50(dir string, k Kit) error {
	content, err := k.pack("setup.sh", "run_classroom50", "go.sh")
	if err != nil {
		return err
	}
	workflow, err := files.ReadFile("files/" + WorkflowFile)
	if err != nil {
		return err
	}
	hash := fmt.Sprintf("%x", sha256.Sum256(content))
	return errors.Join(
		os.MkdirAll(dir, 0o755),
		tool.WriteFile(filepath.Join(dir, GraderFile), content, false),
		tool.WriteFile(filepath.Join(dir, WorkflowFile), bytes.ReplaceAll(workflow, []byte("@SHA256@"), []byte(hash)), false),
	)
}
