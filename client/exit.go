package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// What the process ends with.
const (
	statusFailed   = 1   // the server said so, or this side could not do its part
	statusUsage    = 2   // the command line
	statusNoServer = 3   // none that answers
	statusSignal   = 128 // plus the signal's number, as a shell counts
)

// exitError is an error that decides the exit status. An error without one ends with statusFailed.
type exitError struct {
	status int
	usage  bool // show it
	err    error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usageError(err error) error { return &exitError{statusUsage, true, err} }

func noServer(format string, args ...any) error {
	return &exitError{statusNoServer, false, fmt.Errorf(format, args...)}
}

// report tells the user and returns the exit status. A reader of our output that went away is no news to him: a
// broken pipe ends as SIGPIPE would have ended it, without a word.
func report(err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, syscall.EPIPE) {
		return statusSignal + int(syscall.SIGPIPE)
	}
	//lab:begin
	finishing()
	//lab:end
	fmt.Fprintf(os.Stderr, "mqfile: %s\n", forStderr(err.Error()))
	var exit *exitError
	if !errors.As(err, &exit) {
		return statusFailed
	}
	if exit.usage {
		fmt.Fprint(os.Stderr, usage)
	}
	return exit.status
}

// forStderr makes a text that a server may have chosen harmless for a terminal, which would obey its control
// characters. A file or pipe gets it as it came.
func forStderr(text string) string {
	if !isTerminal(os.Stderr) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
