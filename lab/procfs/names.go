package procfs

import (
	"fmt"
	"strings"
)

// describe renders a set of the members first to last, member n being bit n-first, as its mask and its names:
// `0000000000010000 (SIGCHLD)`. A set of more than half of them is told by what it lacks.
func describe(mask uint64, first, last int, name func(int) string) string {
	var in, out []string
	for n := first; n <= last; n++ {
		if mask>>(n-first)&1 != 0 {
			in = append(in, name(n))
		} else {
			out = append(out, name(n))
		}
	}
	return fmt.Sprintf("%016x (%s)", mask, phrase(in, out))
}

func phrase(in, out []string) string {
	switch {
	case len(in) == 0:
		return "none"
	case len(out) == 0:
		return "all"
	case len(in) > len(out):
		return "all but " + strings.Join(out, ", ")
	}
	return strings.Join(in, ", ")
}
