package main

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"daemonlab/specs/harness"
)

// file is one that does not change.
type file struct {
	name string
	size int
	hash [sha256.Size]byte
}

func fileOf(content []byte) file {
	return file{size: len(content), hash: sha256.Sum256(content)}
}

func (f file) is(content []byte) bool { return sha256.Sum256(content) == f.hash }

var sizes = []int{0, 1, 255, 256, 257, 1000, 1000, 1000, 4096, 8191, 8192, 8193, 65536, 100_000, 1 << 20}

const (
	large  = "large" // takes a slow client a while
	moving = 4       // files that change while they are sent
)

func makeFiles(place harness.Place) ([]file, error) {
	var files []file
	source := rand.NewChaCha8([32]byte{})
	for i, size := range append(sizes, 4<<20) {
		content := make([]byte, size)
		source.Read(content)
		f := fileOf(content)
		f.name = fmt.Sprintf("file-%d", i)
		if i == len(sizes) {
			f.name = large
		}
		if err := place.WriteFile(f.name, content); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// choose picks any file, a short one nearly always.
func (s *session) choose(chance *rand.Rand) file {
	if chance.IntN(8) > 0 {
		return s.files[chance.IntN(12)]
	}
	return s.files[chance.IntN(len(s.files))]
}

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
