// Command goenv changes its environment, says so, and waits for the end of its standard input.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	os.Unsetenv("DROPPED")
	os.Setenv("ADDED", "yes")
	fmt.Println(os.Getpid())
	io.Copy(io.Discard, os.Stdin)
}
