// Package check is what tests that start programs have in common.
package check

import (
	"archive/zip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Must ends a test at an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Slow skips a test in short runs.
func Slow(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: it takes long")
	}
}

// Needs skips a test where a command is missing.
func Needs(t testing.TB, commands ...string) {
	t.Helper()
	for _, command := range commands {
		if _, err := exec.LookPath(command); err != nil {
			t.Skip(err)
		}
	}
}

// Room makes a directory that every user may enter, as t.TempDir's is not: the daemon becomes nobody.
func Room(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "room-")
	Must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	Must(t, os.Chmod(dir, 0o755))
	return dir
}

// Build builds programs of the project into a file or directory.
func Build(to string, packages ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-buildvcs=false", "-o", to}, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %v: %w\n%s", packages, err, out)
	}
	return nil
}

// Files makes files of one content below a directory.
func Files(t testing.TB, dir, content string, mode fs.FileMode, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		Must(t, os.WriteFile(path, []byte(content), mode))
	}
}

// Tree is what the regular files below a directory hold, by path.
func Tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	// fs.WalkDir would refuse names that are no UTF-8.
	Must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir+"/")] = string(content)
		return err
	}))
	return files
}

// Zip makes a zip of what is in a directory.
func Zip(t testing.TB, file, dir string) {
	t.Helper()
	f, err := os.Create(file)
	Must(t, err)
	z := zip.NewWriter(f)
	Must(t, errors.Join(z.AddFS(os.DirFS(dir)), z.Close(), f.Close()))
}
