package main

import (
	"errors"
	"fmt"
	"os"

	"daemonlab/lab/daemon"
	"daemonlab/lab/log"
	"daemonlab/lab/stdio"
)

// Exit statuses.
const (
	statusFailed = 1
	statusUsage  = 2
	//lab:begin
	statusNotRunning = 3 // the Linux Standard Base's value for a status command
	//lab:end
)

func main() {
	daemon.Continue(serveAsDaemon)

	err := run(os.Args[1:])
	switch {
	case err == nil:
		return
	case errors.Is(err, errUsage):
		os.Exit(statusUsage)
	}
	fmt.Fprintf(os.Stderr, "mqfiled: %v\n", err)
	//lab:begin
	if errors.Is(err, daemon.ErrNotRunning) {
		os.Exit(statusNotRunning)
	}
	//lab:end
	os.Exit(statusFailed)
}

func run(args []string) error {
	o, err := parseFlags(args)
	if err != nil {
		return err
	}
	if o.print != "" {
		return stdio.Print(o.print)
	}
	//lab:begin
	switch {
	case o.status:
		return status(o.PIDFile)
	case o.stop:
		return stop(o.PIDFile)
	}
	//lab:end
	if o.foreground {
		return serve(o.config, serviceManager{}, log.Stderr)
	}
	//lab:begin
	becomeBatch()
	//lab:end
	return daemon.Start(daemon.Options{Config: o.config, Unmake: unmake})
}
