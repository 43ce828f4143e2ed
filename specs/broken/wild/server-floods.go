//go:build ignore

// Wild: it writes to stderr without end.
package main

import (
	"bytes"
	"os"
)

func main() {
	lines := bytes.Repeat([]byte("mqfiled: everything is wrong\n"), 4096)
	for {
		os.Stderr.Write(lines)
	}
}
