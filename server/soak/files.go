package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"daemonlab/specs/harness"
)

// file is one that does not change.
type file struct {
	name    string
	content []byte
}

// Bytes of the files, the shortest first: most requests are for one of those.
var sizes = []int{0, 1, 255, 256, 257, 1000, 1000, 1000, 4096, 8191, 8192, 8193, 65536, 100_000, 1 << 20, 4 << 20}

const (
	short  = 12 // files
	moving = 4  // files that change while they are sent
)

func makeFiles(place harness.Place) (files []file, err error) {
	source := rand.NewChaCha8([32]byte{})
	for i, size := range sizes {
		f := file{fmt.Sprintf("file-%d", i), make([]byte, size)}
		source.Read(f.content)
		if err := place.WriteFile(f.name, f.content); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// choose picks any file, a short one nearly always.
func (s *session) choose(chance *rand.Rand) file {
	if chance.IntN(8) > 0 {
		return s.files[chance.IntN(short)]
	}
	return s.files[chance.IntN(len(s.files))]
}

// large is a file that takes a slow client a while.
func (s *session) large() file { return s.files[len(s.files)-1] }

// move changes one of the files that do, and returns its name. Errors do not matter: another change was quicker.
func (s *session) move(chance *rand.Rand) string {
	name := fmt.Sprintf("moving-%d", chance.IntN(moving))
	path := filepath.Join(s.place.Root, name)
	size := chance.Int64N(300_000)
	switch chance.IntN(5) {
	case 0:
		os.Remove(path)
	case 1:
		os.Truncate(path, size)
	case 2:
		os.Chmod(path, 0)
	case 3:
		os.Chmod(path, 0o644)
	default:
		s.place.WriteFile(name, make([]byte, size))
	}
	return name
}
