// Command trace runs a server and draws what it does on its way to becoming a daemon, as the kernel sees it, and how it
// serves a request. See usage in flags.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"

	"daemonlab/specs/harness"
	"daemonlab/specs/trace/birth"
	"daemonlab/specs/trace/draw"
	"daemonlab/specs/trace/record"
)

// Exit statuses.
const (
	exitDaemon = 0 // it became a daemon, and nothing is marked
	exitMarked = 1
	exitError  = 2 // it could not be traced, or the command line is wrong
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "trace: %v\n", err)
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	o, err := parseFlags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0, nil
	case err != nil:
		return exitError, err
	}
	self, err := os.Executable()
	if err != nil {
		return exitError, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	harness.Now() // the clock goes from here on
	taken, err := record.Take(ctx, filepath.Join(filepath.Dir(self), "launch"), o.command)
	if ctx.Err() != nil {
		return 128 + int(unix.SIGINT), errors.New("interrupted")
	}
	if taken == nil || len(taken.Events) == 0 {
		return exitError, err
	}
	story := birth.Read(taken)
	if err := errors.Join(err, publish(story, o)); err != nil {
		return exitError, err
	}
	if !story.OK() {
		return exitMarked, nil
	}
	return exitDaemon, nil
}

func publish(story *birth.Story, o options) error {
	if o.html != "" {
		if err := os.WriteFile(o.html, draw.HTML(story), 0o644); err != nil {
			return err
		}
	}
	return draw.Text(os.Stdout, story, colourful(os.Stdout))
}

// colourful tells whether the output is a terminal whose user has not asked for plain text (no-color.org).
func colourful(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
