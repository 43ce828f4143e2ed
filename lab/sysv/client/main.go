// Svfile fetches a file from a svfiled server over System V message queues: it makes a private queue, sends one request
// with the queue's number to the server's queue and writes what arrives to stdout or to a file.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

const usage = `usage: svfile [--key KEY] [-o FILE] PATH

Fetches PATH, a file below the directory that svfiled serves, over System V
message queues.

  --key KEY   of the server's queue: a number, or a file (with a slash) for
              ftok(3) (default 0x73766673)
  -o FILE     write to FILE, which appears whole or not at all; a FILE that is a
              device or a FIFO is written through (default: stdout)
  --help      this text

examples:
  svfile notes.txt
  svfile --key ./Makefile -o copy.iso images/disk.iso

exit status: 0 done, 1 the server or this side failed, 2 usage, 3 no server or
nothing from it for 10 s, 128+N ended by signal N.
`

type options struct {
	key    sysv.Key
	output string // "" for stdout
	path   string // as the server will see it; may be empty
}

// main ends by exit only, which removes what has been made.
func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "svfile: %v\n\n%s", err, usage)
		exit(statusUsage)
	}
	exitOnSignals()
	got, err := fetch(o)
	if err != nil {
		fail(err)
	}
	fmt.Fprintf(os.Stderr, "Received %d bytes (%d messages)\n", got.bytes, got.messages)
	exit(statusDone)
}

// parse reads the arguments. Flags may stand before and after PATH; after "--" PATH may begin with a dash.
func parse(args []string) (options, error) {
	o := options{key: wire.DefaultKey}
	f := flag.NewFlagSet("svfile", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Func("key", "", func(s string) (err error) { o.key, err = wire.ParseKey(s); return })
	f.StringVar(&o.output, "o", "", "")
	var paths []string
	for {
		if err := f.Parse(args); err != nil {
			return o, err
		}
		if f.NArg() == 0 {
			break
		}
		paths = append(paths, f.Arg(0))
		args = f.Args()[1:]
	}
	if len(paths) != 1 {
		return o, fmt.Errorf("one PATH is needed, not %d", len(paths))
	}
	o.path = paths[0]
	_, err := wire.Request{Path: o.path}.Append(nil)
	return o, err
}
