// Command trace runs a server and draws how it becomes a daemon, as the kernel sees it, and how it serves a request.
// See usage in flags.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
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
	harness.Now() // starts the clock
	taken, err := record.Take(ctx, record.Options{
		Launcher: filepath.Join(filepath.Dir(self), "launch"), DaemonOnly: o.daemonOnly, Waiting: waiting(o.lang),
	}, o.command...)
	if err != nil {
		err = errors.New(finding.Words(err).In(o.lang))
	}
	if ctx.Err() != nil {
		return 128 + int(unix.SIGINT), errors.New(finding.Say("interrupted").In(o.lang))
	}
	if taken == nil || len(taken.Events) == 0 {
		return exitError, err
	}
	story := birth.Read(taken)
	if err := errors.Join(err, publish(story, o, guide(self, o.html, o.lang))); err != nil {
		return exitError, err
	}
	if !story.OK() {
		return exitMarked, nil
	}
	return exitDaemon, nil
}

func publish(story *birth.Story, o options, guide draw.Guide) error {
	const mostColumns = 120
	columns, _ := tool.TerminalSize()
	err := draw.Text(os.Stdout, story, draw.Terminal{Width: min(columns, mostColumns), Colour: colourful(os.Stdout), Lang: o.lang})
	if err != nil || o.html == "" {
		return err
	}
	page, err := draw.HTML(story, o.lang, guide)
	if err != nil {
		return err
	}
	return tool.WriteFile(o.html, page, false)
}

// guide is the project's, or that of a student's folder, with the page's link to it.
func guide(self, page, lang string) draw.Guide {
	for _, dir := range []string{"../lab/guide", "../../guide"} {
		dir = filepath.Join(filepath.Dir(self), dir)
		from, err := filepath.Abs(filepath.Dir(page))
		link, relErr := filepath.Rel(from, dir)
		if _, statErr := os.Stat(filepath.Join(dir, lang)); errors.Join(err, relErr, statErr) == nil {
			return draw.Guide{Dir: dir, Link: filepath.ToSlash(link)}
		}
	}
	return draw.Guide{}
}

// waiting shows on stderr what is being waited for, and for how long, once that takes a while.
func waiting(lang string) func(rubric.Text) func() {
	terminal := term.IsTerminal(unix.Stderr)
	return func(what rubric.Text) func() {
		done := make(chan struct{})
		go func() {
			for n := 1; ; n++ {
				select {
				case done <- struct{}{}: // done was called
					if n > 1 && terminal {
						fmt.Fprint(os.Stderr, "\x1b[K")
					}
					close(done)
					return
				case <-time.After(time.Second):
				}
				line := finding.Say("waiting for %v: %d s; Ctrl-C ends", what, n).In(lang)
				if terminal {
					fmt.Fprintf(os.Stderr, "\r\x1b[K%s\r", line)
				} else if n&(n-1) == 0 { // in a log: after 1, 2, 4 ... seconds
					fmt.Fprintln(os.Stderr, "trace: "+line)
				}
			}
		}()
		return func() {
			<-done // stopped
			<-done // line cleared
		}
	}
}

// colourful reports whether the output is a terminal and NO_COLOR is not set (no-color.org).
func colourful(f *os.File) bool {
	return term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
