package procfs

import (
	"io"
	"strconv"
	"strings"
)

// IDRange is one line of /proc/PID/uid_map or gid_map (user_namespaces(7)).
type IDRange struct {
	Inside  uint32 // first ID in the process's user namespace
	Outside uint32 // the ID it is in the reader's namespace
	Count   uint32 // how many follow one another
}

// UIDMap reads /proc/PID/uid_map; without a user namespace it is one range, 0 0 4294967295.
func (p Process) UIDMap() ([]IDRange, error) {
	return load(p.Path("uid_map"), func(r io.Reader) ([]IDRange, error) { return ParseIDMap("uid_map", r) })
}

// GIDMap reads /proc/PID/gid_map.
func (p Process) GIDMap() ([]IDRange, error) {
	return load(p.Path("gid_map"), func(r io.Reader) ([]IDRange, error) { return ParseIDMap("gid_map", r) })
}

// ParseIDMap parses uid_map or gid_map; file is the name that errors carry.
func ParseIDMap(file string, r io.Reader) ([]IDRange, error) { return table(file, r, parseIDRange) }

func parseIDRange(line string) (IDRange, error) {
	words := strings.Fields(line)
	if len(words) != 3 {
		return IDRange{}, errFields
	}
	var ids [3]uint32
	for i, word := range words {
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return IDRange{}, err
		}
		ids[i] = uint32(n)
	}
	return IDRange{ids[0], ids[1], ids[2]}, nil
}
