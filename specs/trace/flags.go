package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

const usage = `usage: scripts/trace [--html FILE] [--lang en|es] [--daemon-only] -- COMMAND [ARGUMENT]...

Runs a server, in any language, and draws what it does on its way to becoming a
daemon, as the kernel sees it: a lane for each process, time downwards, the
system calls that matter with the step of the lab that each belongs to, and what
is wrong marked with !!. The verdict on a step is the specs' own, by what /proc
shows when the start is over; the calls show what brought it about. Then sends
the server a few requests, shows how its threads take and answer them, ends it,
and removes its queues and PID files.

The server is started as the specs start one: files open at odd numbers, signals
ignored and blocked, umask 077, junk in the environment, a controlling terminal.
A program that opens no queue is judged as a daemon, and sent no requests.

  --html FILE     write the picture as a page, too
  --lang LANG     en or es
  --daemon-only   the program has to do with no queue, or its queues are its own

Exit status: 0 a daemon, and nothing is marked; 1 something is marked; 2 it could
not be traced.

examples:
  scripts/trace -- bin/mqfiled --root . --queue /x --pidfile /tmp/x.pid --log /tmp/x.log
  scripts/trace --html birth.html -- ./mqfiled --queue /x --pidfile /tmp/x.pid
`

type options struct {
	html, lang string
	daemonOnly bool
	command    []string
}

func parseFlags(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("trace", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.html, "html", "", "")
	f.StringVar(&o.lang, "lang", "en", "")
	f.BoolVar(&o.daemonOnly, "daemon-only", false, "")
	err := f.Parse(args)
	o.command = f.Args()
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
	case err == nil && o.lang != "en" && o.lang != "es":
		err = fmt.Errorf("--lang %q: en or es", o.lang)
	case err == nil && len(o.command) == 0:
		err = errors.New("no command to trace: scripts/trace --help")
	}
	return o, err
}
