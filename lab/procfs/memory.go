package procfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// memory is /proc/PID/mem.
type memory struct {
	*os.File
	word int // size of a pointer in the program, in bytes
}

// Bounds on an environment: memory that is no environment must not be read for ever. exec itself allows 6 MiB in all
// (execve(2)).
const (
	maxVars  = 1 << 16
	maxBytes = 16 << 20
)

var errTooMuch = fmt.Errorf("more than %d variables or %d bytes", maxVars, maxBytes)

// words reads n consecutive words.
func (m *memory) words(addr uint64, n int) ([]uint64, error) {
	buf := make([]byte, n*m.word)
	if err := m.fill(buf, addr); err != nil {
		return nil, err
	}
	return m.decode(buf), nil
}

// decode makes words of their bytes.
func (m *memory) decode(buf []byte) (words []uint64) {
	for word := range slices.Chunk(buf, m.word) {
		if m.word == 4 {
			words = append(words, uint64(binary.NativeEndian.Uint32(word)))
		} else {
			words = append(words, binary.NativeEndian.Uint64(word))
		}
	}
	return words
}

func (m *memory) fill(buf []byte, addr uint64) error {
	if addr > math.MaxInt64 {
		return fmt.Errorf("address %x is the kernel's", addr)
	}
	_, err := m.ReadAt(buf, int64(addr))
	if err == io.EOF { // its memory went with the process
		err = unix.ESRCH
	}
	return err
}

// readStrings reads what a C `char **` variable points to: addresses of strings up to a null pointer, or nothing.
func readStrings(m *memory, addr uint64) ([]string, error) {
	head, err := m.words(addr, 1)
	if err != nil || head[0] == 0 {
		return nil, err
	}
	var vars []string
	room := maxBytes
	for at := head[0]; len(vars) < maxVars; at += uint64(m.word) {
		p, err := m.words(at, 1)
		if err != nil || p[0] == 0 {
			return vars, err
		}
		s, err := m.cstring(p[0], room)
		if err != nil {
			return nil, err
		}
		room -= len(s) + 1
		vars = append(vars, s)
	}
	return nil, errTooMuch
}

// pageSize divides the page size of every Linux machine, so that a read within it never crosses into unmapped memory.
const pageSize = 4096

// cstring reads up to a NUL that must come within limit bytes.
func (m *memory) cstring(addr uint64, limit int) (string, error) {
	var s []byte
	for len(s) < limit {
		chunk := make([]byte, pageSize-addr%pageSize)
		if err := m.fill(chunk, addr); err != nil {
			return "", err
		}
		if end := bytes.IndexByte(chunk, 0); end >= 0 {
			return string(append(s, chunk[:end]...)), nil
		}
		s = append(s, chunk...)
		addr += uint64(len(chunk))
	}
	return "", errTooMuch
}

// readGoStrings reads a Go []string variable: address, length and capacity, and for each string address and length.
// Package syscall leaves an empty string where a variable was removed.
func readGoStrings(m *memory, addr uint64) ([]string, error) {
	header, err := m.words(addr, 3)
	if err != nil {
		return nil, err
	}
	if header[1] > maxVars {
		return nil, errTooMuch
	}
	strs, err := m.words(header[0], 2*int(header[1]))
	if err != nil {
		return nil, err
	}
	var vars []string
	room := uint64(maxBytes)
	for ; len(strs) > 0; strs = strs[2:] {
		if strs[1] > room {
			return nil, errTooMuch
		}
		room -= strs[1]
		s := make([]byte, strs[1])
		if err := m.fill(s, strs[0]); err != nil {
			return nil, err
		}
		if len(s) > 0 {
			vars = append(vars, string(s))
		}
	}
	return vars, nil
}
