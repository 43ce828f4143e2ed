package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"daemonlab/lab/tool"
	"daemonlab/specs/harness"
)

// Exit statuses.
const (
	statusFailed      = 1
	statusUnable      = 2
	statusInterrupted = 130
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o, err := parseFlags(args)
	defer os.RemoveAll(o.work)
	if err != nil {
		return tool.UsageStatus(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGPIPE)
	defer stop()
	s, err := soak(ctx, o)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "soak: interrupted")
		return statusInterrupted
	case s == nil:
		fmt.Fprintf(os.Stderr, "soak: %v\n", err)
		return statusUnable
	}
	fine := s.report()
	if err != nil {
		fmt.Fprintf(os.Stderr, "soak: %v\n", err)
	}
	switch {
	case len(s.losses)+s.races > 0 || err == nil && !fine:
		return statusFailed
	case err != nil:
		return statusUnable
	}
	return 0
}

// soak does everything that starts processes or makes queues, and leaves none.
func soak(ctx context.Context, o options) (s *session, err error) {
	if err := harness.AdoptOrphans(); err != nil {
		return nil, err
	}
	s, err = newSession(o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.clear()) }()
	fmt.Printf("seed %d, %v\n", o.seed, o.time)
	return s, s.run(ctx)
}
