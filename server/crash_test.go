package main_test

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestAFatalSignalIsInTheLog(t *testing.T) {
	s := start(t, place(t))
	must(t, s.Signal(unix.SIGSEGV))
	_, err := s.WaitForEnd(t.Context())
	must(t, err)
	mustLog(t, s, "SIGSEGV")
	mustLog(t, s, "goroutine ")
}

func TestAFatalSignalIsInTheLogThatSIGHUPOpened(t *testing.T) {
	s := start(t, place(t))
	old := s.Log
	must(t, unix.Rename(old, old+".1"))
	must(t, s.Signal(unix.SIGHUP))
	mustLog(t, s, "log reopened")
	must(t, s.Signal(unix.SIGSEGV))
	_, err := s.WaitForEnd(t.Context())
	must(t, err)
	mustLog(t, s, "SIGSEGV")
}
