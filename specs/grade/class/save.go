package class

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"daemonlab/lab/tool"
)

const (
	classFile      = "class.json"
	submissionFile = "submission.json"
	submissionsDir = "submissions"
)

// Save writes the class into a directory of results.
func (c Class) Save(out string) error {
	c.Format = Format
	return save(filepath.Join(out, classFile), c)
}

// Load reads the class from a directory of results.
func Load(out string) (Class, error) {
	var c Class
	file := filepath.Join(out, classFile)
	if err := load(file, &c); err != nil {
		return c, err
	}
	if c.Format != Format {
		return c, fmt.Errorf("%s: its format is %q, not %q", file, c.Format, Format)
	}
	return c, nil
}

// Dir is the directory of a submission in a directory of results. Its evidence is there.
func (n Name) Dir(out string) string {
	return filepath.Join(out, submissionsDir, n.Folder())
}

// Save writes the submission into its directory, which must be there. A reader finds it whole or not at all, also after
// the machine has stopped, so it tells that the submission was judged.
func (s Submission) Save(out string) error {
	return save(filepath.Join(s.Name.Dir(out), submissionFile), s)
}

// LoadSubmission reads what [Submission.Save] wrote. It fails with fs.ErrNotExist if the submission was not judged.
func LoadSubmission(out string, name Name) (Submission, error) {
	var s Submission
	file := filepath.Join(name.Dir(out), submissionFile)
	if err := load(file, &s); err != nil {
		return s, err
	}
	if s.Name != name {
		return s, fmt.Errorf("%s: it is about %q, not %q", file, s.Name, name)
	}
	return s, nil
}

func load(file string, v any) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// save writes a file that is there, whole, also when the machine stops.
func save(file string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return tool.WriteFile(file, append(content, '\n'), true)
}
