//lab:give

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Exit statuses.
const (
	statusFailed   = 1   // the server said so, or this side failed
	statusUsage    = 2   // bad command line
	statusNoServer = 3   // no server answers
	statusSignal   = 128 // plus the signal's number, as a shell counts
)

// exitError is an error that decides the exit status. An error without one ends with statusFailed.
type exitError struct {
	status int
	error  // nil when there is nothing to say
}

func (e *exitError) Unwrap() error { return e.error }

func usageError(err error) error { return &exitError{statusUsage, err} }

func noServer(format string, args ...any) error {
	return &exitError{statusNoServer, fmt.Errorf(format, args...)}
}

// report tells the user why the program ends and returns its exit status. A broken pipe is not reported: the program
// ends as SIGPIPE would have ended it.
func report(err error) int {
	if err == nil {
		return 0
	}
	exit := &exitError{statusFailed, err}
	if errors.Is(err, unix.EPIPE) {
		exit = &exitError{status: statusSignal + int(unix.SIGPIPE)}
	}
	errors.As(err, &exit)
	if exit.error != nil {
		fmt.Fprintf(os.Stderr, "mqfile: %s\n", printable(exit.Error()))
	}
	if exit.status == statusUsage {
		fmt.Fprint(os.Stderr, usage)
	}
	return exit.status
}

// printable makes text chosen by a server or by a file's name one line, without the control characters that a terminal
// would obey.
func printable(text string) string {
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
