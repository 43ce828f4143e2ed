package tool_test

import (
	"os"
	"path/filepath"
	"testing"

	"daemonlab/lab/tool"
)

func TestWriteFileReplacesWhole(t *testing.T) {
	name := filepath.Join(t.TempDir(), "report")
	for i, content := range []string{"the first, longer", "second"} {
		if err := tool.WriteFile(name, []byte(content), i == 0); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != content {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if err := tool.WriteFile(filepath.Dir(name), nil, false); err == nil {
		t.Error("a file has taken the place of a directory")
	}
	for _, dir := range []string{filepath.Dir(name), filepath.Dir(filepath.Dir(name))} {
		if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); left != nil {
			t.Errorf("left %v", left)
		}
	}
}
