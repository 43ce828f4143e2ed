package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheGuideOfAStudentsFolderIsFoundInItsLanguage(t *testing.T) {
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "guide/es"), 0o755); err != nil {
		t.Fatal(err)
	}
	g := guide(filepath.Join(folder, "specs/amd64/trace"), filepath.Join(folder, "birth.html"), "es")
	if g.Link != "guide" {
		t.Errorf("a page leads to %q", g.Link)
	}
}
