//go:build linux

package mq_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Importers on other systems are told by the compiler, and not by what is undefined.
func TestEveryFileIsForLinux(t *testing.T) {
	files, err := filepath.Glob("*.go")
	must(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		if !strings.HasPrefix(string(content), "//go:build linux") {
			t.Errorf("%s has no build tag", file)
		}
	}
}
