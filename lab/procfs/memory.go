package procfs

import (
	"bytes"
	"encoding/binary"
	"errors"
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
	word uint64 // size of a pointer in the program, in bytes
	left uint64 // bytes that may still be read
}

// maxRead limits what is read of a process, in bytes: memory that is not an environment could be endless.
const maxRead = 256 << 20

var errTooMuch = errors.New("too much for an environment")

func (m *memory) read(addr, n uint64) ([]byte, error) {
	if addr > math.MaxInt64 {
		return nil, fmt.Errorf("address %x is the kernel's", addr)
	}
	if n > m.left {
		return nil, errTooMuch
	}
	m.left -= n
	buf := make([]byte, n)
	_, err := m.ReadAt(buf, int64(addr))
	if err == io.EOF { // the process has ended, and its memory with it
		err = unix.ESRCH
	}
	return buf, err
}

// words reads n consecutive words.
func (m *memory) words(addr, n uint64) ([]uint64, error) {
	if n > maxRead {
		return nil, errTooMuch
	}
	buf, err := m.read(addr, n*m.word)
	return m.decode(buf), err
}

// decode converts bytes to words.
func (m *memory) decode(buf []byte) (words []uint64) {
	for word := range slices.Chunk(buf, int(m.word)) {
		if m.word == 4 {
			words = append(words, uint64(binary.NativeEndian.Uint32(word)))
		} else {
			words = append(words, binary.NativeEndian.Uint64(word))
		}
	}
	return words
}

// readStrings reads the value of a C `char **` variable: pointers to strings up to a null pointer, or nothing.
func readStrings(m *memory, addr uint64) ([]string, error) {
	head, err := m.words(addr, 1)
	if err != nil || head[0] == 0 {
		return nil, err
	}
	var vars []string
	for at := head[0]; ; at += m.word {
		p, err := m.words(at, 1)
		if err != nil || p[0] == 0 {
			return vars, err
		}
		s, err := m.cstring(p[0])
		if err != nil {
			return nil, err
		}
		vars = append(vars, s)
	}
}

// pageSize divides the page size of every Linux machine, so a read within it never crosses into unmapped memory.
const pageSize = 4096

// cstring reads up to a NUL.
func (m *memory) cstring(addr uint64) (string, error) {
	var s []byte
	for {
		chunk, err := m.read(addr, pageSize-addr%pageSize)
		if err != nil {
			return "", err
		}
		if end := bytes.IndexByte(chunk, 0); end >= 0 {
			return string(append(s, chunk[:end]...)), nil
		}
		s = append(s, chunk...)
		addr += uint64(len(chunk))
	}
}

// readGoStrings reads a Go []string variable: address, length and capacity, and for each string address and length.
// Package syscall leaves an empty string where a variable was removed.
func readGoStrings(m *memory, addr uint64) ([]string, error) {
	header, err := m.words(addr, 3)
	if err != nil {
		return nil, err
	}
	strs, err := m.words(header[0], 2*header[1])
	if err != nil {
		return nil, err
	}
	var vars []string
	for str := range slices.Chunk(strs, 2) {
		s, err := m.read(str[0], str[1])
		if err != nil {
			return nil, err
		}
		if len(s) > 0 {
			vars = append(vars, string(s))
		}
	}
	return vars, nil
}
