//go:build ignore

// Wild: the client writes to stdout and stderr without end.
package main

import (
	"bytes"
	"os"
)

func main() {
	bytes := bytes.Repeat([]byte("mqfile\n"), 65536)
	go func() {
		for {
			os.Stderr.Write(bytes)
		}
	}()
	for {
		os.Stdout.Write(bytes)
	}
}
