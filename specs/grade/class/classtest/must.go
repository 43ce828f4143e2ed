package classtest

import (
	"archive/zip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Must ends a test at an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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

// Zip makes a zip of what is in a directory.
func Zip(t testing.TB, file, dir string) {
	t.Helper()
	f, err := os.Create(file)
	Must(t, err)
	z := zip.NewWriter(f)
	Must(t, errors.Join(z.AddFS(os.DirFS(dir)), z.Close(), f.Close()))
}
