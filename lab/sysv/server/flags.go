package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

const usage = `usage: svfiled [flags]

Serves the files below a directory to svfile clients over System V message
queues, in the foreground, with a child process for each request.

  --root DIR       directory to serve (default: this one)
  --key KEY        of the request queue: a number, or a file (with a slash) for
                   ftok(3) (default 0x73766673)
  --children N     requests served at a time (default 64)
  --stall SECONDS  give up a client that takes nothing for so long (default 60)
  --help           this text

SIGINT and SIGTERM remove the queue and end the server when its children are
done, after 5 s at the latest.

examples:
  svfiled --root /srv/files &      svfile notes.txt
  svfiled --key ./Makefile &       svfile --key ./Makefile notes.txt
`

type options struct {
	root     string
	key      sysv.Key
	children int
	stall    time.Duration
	answer   bool // be the child that answers the request on standard input; not for people
}

func parseFlags(args []string) (options, error) {
	o := options{key: wire.DefaultKey, children: 64, stall: 60 * time.Second}
	f := flag.NewFlagSet("svfiled", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.root, "root", ".", "")
	f.Func("key", "", func(s string) (err error) { o.key, err = wire.ParseKey(s); return })
	f.Func("children", "", func(s string) (err error) { o.children, err = parseChildren(s); return })
	f.Func("stall", "", func(s string) (err error) { o.stall, err = parseSeconds(s); return })
	f.BoolVar(&o.answer, "answer", false, "")
	err := f.Parse(args)
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	return o, err
}

func parseChildren(s string) (int, error) {
	const most = 10_000
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("not a number from 1 to %d", most)
	}
	return n, nil
}

func parseSeconds(s string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || !(seconds > 0 && seconds <= 1e9) {
		return 0, errors.New("not a positive number of seconds")
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
