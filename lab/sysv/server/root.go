package main

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// openRoot opens the served directory, so that renaming it or mounting over it does not change what is served.
func openRoot(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
}

// openFile opens a regular file below dir and tells its size in bytes. A leading slash means dir. No path leads out of
// dir, by ".." or by a symbolic link, see os.Root. O_NONBLOCK keeps a FIFO without a writer from stopping the process.
func openFile(dir, path string) (*os.File, int64, error) {
	if path == "" {
		return nil, 0, errors.New("empty path")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	path = strings.TrimLeft(path, "/")
	if path == "" {
		path = "."
	}
	f, err := root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, 0, reason(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// reason takes from an error what the client knows: its path.
func reason(err error) error {
	var e *os.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
