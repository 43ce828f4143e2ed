//lab:give

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"daemonlab/lab/mq"
	"daemonlab/lab/version"
	"daemonlab/lab/wire"
)

const usage = `usage: mqfile [--queue /NAME] [-o FILE] [--wait SECONDS] PATH

Fetches PATH, a file below the directory that mqfiled serves, over POSIX
message queues.

  --queue /NAME   the server's request queue (default ` + wire.DefaultQueue + `)
  -o FILE         write to FILE, which appears whole or not at all; a device or
                  FIFO is written to directly (default: stdout)
  --wait SECONDS  how long to wait for room when this user's queues use up all
                  that RLIMIT_MSGQUEUE allows (default 30); ls /dev/mqueue lists
                  them, rm there removes one that a killed client left behind
  --version       print the release
  --help          print this text

examples:
  mqfile notes.txt                      print a file
  mqfile -o copy.iso images/disk.iso    fetch one, with a progress bar
  mqfile --queue /lab5 a.tar | tar t    from the server at another queue

Exit status: 0 done, 1 the server or this side failed, 2 usage, 3 no server or
nothing from it for 10 s, 128+N ended by signal N.
`

// options is the parsed command line.
type options struct {
	queue  string        // the server's, "/NAME"
	output string        // "" for stdout
	wait   time.Duration // how long to wait for room for a reply queue
	path   string        // as sent to the server; may be empty
	print  string        // text to print instead
}

// parse parses the arguments. Flags may stand before and after PATH; after "--" PATH may begin with a dash.
func parse(args []string) (options, error) {
	o := options{queue: wire.DefaultQueue, wait: 30 * time.Second}
	flags := flag.NewFlagSet("mqfile", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Func("queue", "", func(s string) error { o.queue = s; return mq.CheckName(s) })
	flags.Func("o", "", func(s string) (err error) { o.output, err = nonEmpty(s); return })
	flags.Func("wait", "", func(s string) (err error) { o.wait, err = parseSeconds(s); return })
	which := flags.Bool("version", false, "")
	paths, err := parseAround(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return options{print: usage}, nil
	case err == nil && *which:
		return options{print: version.Line("mqfile")}, nil
	}
	if err == nil && len(paths) != 1 {
		err = fmt.Errorf("expected one PATH, not %d", len(paths))
	}
	if err != nil {
		return o, usageError(err)
	}
	o.path = paths[0]
	return o, nil
}

// parseAround parses flags on both sides of the other arguments, which it returns; package flag stops at the first of
// those.
func parseAround(flags *flag.FlagSet, args []string) (others []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return others, nil
		}
		others = append(others, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

func nonEmpty(s string) (string, error) {
	if s == "" {
		return "", errors.New("a file name is needed")
	}
	return s, nil
}

func parseSeconds(s string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || !(seconds >= 0 && seconds <= 1e9) {
		return 0, errors.New("not a number of seconds")
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
