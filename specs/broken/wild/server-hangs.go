//go:build ignore

// Wild: the original never returns, whatever is sent to it.
package main

import (
	"os"
	"os/signal"
	"time"
)

func main() {
	signal.Ignore(os.Interrupt)
	time.Sleep(24 * time.Hour)
}
