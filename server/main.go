// Command mqfiled is a file server over POSIX message queues. It starts as a System V daemon, or with --foreground as
// a new-style one.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"daemonlab/lab/daemon"
)

// Exit statuses. statusNotRunning is what the Linux Standard Base gives a status command.
const (
	statusFailed     = 1
	statusUsage      = 2
	statusNotRunning = 3
)

func main() {
	daemon.Continue(serveAsDaemon)

	err := run(os.Args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return
	case errors.Is(err, errUsage):
		os.Exit(statusUsage)
	}
	fmt.Fprintf(os.Stderr, "mqfiled: %v\n", err)
	if errors.Is(err, daemon.ErrNotRunning) {
		os.Exit(statusNotRunning)
	}
	os.Exit(statusFailed)
}

func run(args []string) error {
	o, err := parseFlags(args)
	if err != nil {
		return err
	}
	switch o.action {
	case actionStatus:
		return status(o.PIDFile)
	case actionStop:
		return stop(o.PIDFile)
	case actionForeground:
		return serveInForeground(o.config)
	default:
		return daemon.Start(daemon.Options{Config: o.config, Unmake: unmake})
	}
}
