package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// kept are copies of the programs under test. One that removes its own file fails the row in which it does; the next row
// finds it again, and so does its author.
type kept struct {
	mu    sync.Mutex
	files map[string]string // path to copy
}

func keep(dir string, programs ...string) (*kept, error) {
	k := &kept{files: map[string]string{}}
	for _, path := range programs {
		copied := filepath.Join(dir, filepath.Base(path))
		if err := copyProgram(path, copied); err != nil {
			return nil, err
		}
		k.files[path] = copied
	}
	return k, nil
}

// restore puts back what has gone.
func (k *kept) restore() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for path, copied := range k.files {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := copyProgram(copied, path); err != nil {
			return err
		}
	}
	return nil
}

func copyProgram(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}
