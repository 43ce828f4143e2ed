package bundle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"daemonlab/lab/tool"
)

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
