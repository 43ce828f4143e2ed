package procfs

import (
	"errors"
	"io"
	"strconv"
	"strings"
)

// Mapping is one line of /proc/PID/maps.
type Mapping struct {
	Start, End uint64 // addresses; End is the first one behind it
	Offset     uint64 // bytes into the file
	Path       string // as the kernel writes it: newline as \012, ` (deleted)` at the end; `[stack]`; empty
}

// Maps reads /proc/PID/maps.
func (p Process) Maps() ([]Mapping, error) {
	maps, err := load(p.Path("maps"), ParseMaps)
	return maps, p.unlessEnded("maps", len(maps) == 0, err)
}

// ParseMaps parses /proc/PID/maps.
func ParseMaps(r io.Reader) ([]Mapping, error) { return table("maps", r, parseMapping) }

// parseMapping parses `7f88d70e0000-7f88d7106000 r--p 00000000 fe:00 326269      /usr/lib/libc.so.6`; the path, which
// may contain spaces, is the rest of the line.
func parseMapping(line string) (m Mapping, err error) {
	words := strings.SplitN(line, " ", 6)
	if len(words) < 5 {
		return m, errFields
	}
	if len(words) == 6 {
		m.Path = strings.TrimLeft(words[5], " ")
	}
	if m.Start, m.End, err = addressRange(words[0]); err != nil {
		return m, err
	}
	m.Offset, err = strconv.ParseUint(words[2], 16, 64)
	return m, err
}

func addressRange(s string) (start, end uint64, err error) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		return 0, 0, errors.New("no address range")
	}
	if start, err = strconv.ParseUint(first, 16, 64); err != nil {
		return 0, 0, err
	}
	end, err = strconv.ParseUint(last, 16, 64)
	return start, end, err
}
