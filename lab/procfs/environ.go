package procfs

import (
	"bytes"
	"io"
	"strings"
)

// Environ reads /proc/PID/environ: the environment that the last exec gave the process. A program that changed its
// variables, or forked and cleaned up without exec, still shows this block; see [Process.LiveEnviron].
func (p Process) Environ() ([]string, error) {
	vars, err := load(p.Path("environ"), ParseEnviron)
	return vars, p.unlessEnded("environ", len(vars) == 0, err)
}

// ParseEnviron splits strings that each end in a NUL. It takes them as they are: an entry may be empty or have no `=`.
func ParseEnviron(r io.Reader) ([]string, error) {
	block, err := io.ReadAll(r)
	if err != nil || len(block) == 0 {
		return nil, err
	}
	return strings.Split(string(bytes.TrimSuffix(block, []byte{0})), "\x00"), nil
}
