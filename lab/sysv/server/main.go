// Svfiled is a file server over System V message queues, with a child process for each request. It is what the lab
// begins with: the daemon mqfiled does the same work over POSIX queues and with threads.
//
// It takes requests from a queue with a known key. For each it executes itself again; the child gets the request on its
// standard input, sends the file to the client's own queue and exits. SIGCHLD tells the server to reap it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

// Exit statuses, of the server and of a child.
const (
	statusDone   = 0
	statusFailed = 1 // of a child: the client has been told
	statusUsage  = 2
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o, err := parseFlags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		return statusDone
	case err != nil:
		fmt.Fprintf(os.Stderr, "svfiled: %v\n\n%s", err, usage)
		return statusUsage
	case o.answer:
		return answer(o)
	}
	if err := serve(o); err != nil {
		fmt.Fprintf(os.Stderr, "svfiled: %v\n", err)
		return statusFailed
	}
	return statusDone
}

// logf writes one line, with the PID, since children log for themselves. One write(2) keeps the lines of several whole.
func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "svfiled[%d]: %s\n", os.Getpid(), fmt.Sprintf(format, args...))
}
