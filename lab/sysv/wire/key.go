package wire

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"daemonlab/lab/sysv"
)

// project is the second argument of ftok(3), which tells the keys of several programs with one file apart.
const project = 'f'

// ParseKey reads a key from a command line: a number, as 123 or 0x7b, or the name of a file, with a slash, for ftok(3).
func ParseKey(s string) (sysv.Key, error) {
	if strings.Contains(s, "/") {
		return sysv.FileKey(s, project)
	}
	n, err := strconv.ParseInt(s, 0, 64)
	if err != nil || n < math.MinInt32 || n > math.MaxUint32 {
		return 0, errors.New("neither a number of 32 bits nor the name of a file, with a slash")
	}
	if n == int64(sysv.Private) {
		return 0, errors.New("0 is IPC_PRIVATE, by which no client finds the queue")
	}
	return sysv.Key(n), nil
}
