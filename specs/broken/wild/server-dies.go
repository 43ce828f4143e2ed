//go:build ignore

// Wild: it dies at once.
package main

import "syscall"

func main() {
	syscall.Kill(syscall.Getpid(), syscall.SIGSEGV)
	select {}
}
