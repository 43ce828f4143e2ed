//go:build ignore

// Wild: the client never ends, whatever is sent to it.
package main

import (
	"os/signal"
	"syscall"
	"time"
)

func main() {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	time.Sleep(24 * time.Hour)
}
