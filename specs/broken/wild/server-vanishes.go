//go:build ignore

// Wild: it removes its own file and returns success.
package main

import "os"

func main() {
	file, _ := os.Executable()
	os.Remove(file)
}
