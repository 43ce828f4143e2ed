// Package bundle packs the grader for platforms that run it on one submission at a time: its programs, prebuilt, and
// the Go toolchain. The platform needs only a C compiler.
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

// Kit is the content of a bundle.
type Kit struct {
	Programs string            // directory with the grader's programs
	GoRoot   string            // of the Go toolchain
	Modules  map[string]string // directory in Go's module cache -> its name there
}

// Programs are the grader's programs.
var Programs = []string{"grade", "judge", "launch", "specs.test"}

// Gradescope writes the zip that is uploaded to Gradescope as the autograder.
func Gradescope(file string, k Kit) error {
	content, err := k.pack("setup.sh", "run_autograder", "go.sh")
	if err != nil {
		return err
	}
	return tool.WriteFile(file, content, false)
}

// pack returns a zip of the kit and of scripts from files, which rely on its layout. It is reproducible.
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

// neededOfGo reports whether building programs needs a file or directory of GOROOT. More than half is left out: sources
// of the commands, tests, documents, and the tools that check programs.
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

// neededOfModule does the same for a module: it leaves out tests and the module's archive.
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

// Files written by [Classroom50].
const (
	WorkflowFile = "daemonlab.yaml"
	GraderFile   = "daemonlab-grader.zip"
)

// Classroom50 writes into a directory the grader as a zip, and a GitHub workflow that fetches exactly this zip.
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
