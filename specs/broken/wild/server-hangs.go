//go:build ignore

// Wild: the original never returns, whatever signal it gets.
package main

import (
	"os"
	"os/signal"
)

func main() {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	select {}
}
