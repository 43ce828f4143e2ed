package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// keep copies the programs under test. One that removes its own file fails the row in which it does: restore puts it
// back, for the next row and for its author.
func keep(dir string, programs ...string) (restore func() error, err error) {
	for _, path := range programs {
		if err := copyProgram(path, filepath.Join(dir, filepath.Base(path))); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		for _, path := range programs {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err := copyProgram(filepath.Join(dir, filepath.Base(path)), path); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func copyProgram(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}
