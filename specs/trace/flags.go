package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

const usage = `usage: scripts/trace [--html FILE] -- COMMAND [ARGUMENT]...

Runs a server, in any language, and draws what it does on its way to becoming a
daemon, as the kernel sees it: a column for each process, time downwards, the
system calls that matter with the step of the lab that each belongs to, and what
is missing or out of order marked with !!. Then sends the server a few requests,
shows how its threads take and answer them, and ends it.

The server is started as the specs start one: files open at odd numbers, signals
ignored and blocked, umask 077, junk in the environment, a controlling terminal.

  --html FILE   write the picture as a page, too

Exit status: 0 a daemon, and nothing is marked; 1 something is marked; 2 it could
not be traced.

examples:
  scripts/trace -- bin/mqfiled --root . --queue /x --pidfile /tmp/x.pid --log /tmp/x.log
  scripts/trace --html birth.html -- ./mqfiled --queue /x --pidfile /tmp/x.pid
`

type options struct {
	html    string
	command []string
}

func parseFlags(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("trace", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.html, "html", "", "")
	err := f.Parse(args)
	o.command = f.Args()
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
	case err == nil && len(o.command) == 0:
		err = errors.New("no command to trace: scripts/trace --help")
	}
	return o, err
}
