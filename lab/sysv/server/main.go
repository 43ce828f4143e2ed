// Svfiled is a file server over System V message queues, with a child process for each request. It is what the lab
// begins with: the daemon mqfiled does the same work over POSIX queues and with threads.
//
// It takes requests from a queue with a known key. For each it executes itself again; the child sends the file to the
// client's own queue and exits.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
	"daemonlab/lab/tool"
)

const usage = `usage: svfiled [flags]

Serves the files below a directory to svfile clients over System V message
queues, in the foreground, with a child process for each request.

  --root DIR    directory to serve (default: this one)
  --key KEY     of the request queue, a number (default 0x73766673)
  --children N  requests served at a time (default 64)
  --stall TIME  give up a client that takes nothing for so long (default 60s)
  --help        this text

SIGINT and SIGTERM remove the queue and end the server when its children are
done, after 5 s at the latest.
`

type options struct {
	root  string
	key   sysv.Key
	most  int // children at a time
	stall time.Duration

	// What a child is told: the client's queue, or -1, and the path.
	answer int
	path   string
}

func main() {
	o := options{key: wire.DefaultKey}
	f := flag.NewFlagSet("svfiled", flag.ContinueOnError)
	f.StringVar(&o.root, "root", ".", "")
	f.Var(&o.key, "key", "")
	f.IntVar(&o.most, "children", 64, "")
	f.DurationVar(&o.stall, "stall", time.Minute, "")
	f.IntVar(&o.answer, "answer", -1, "")
	err := tool.Parse(f, os.Args[1:], usage, func() error {
		o.path = f.Arg(0)
		switch {
		case f.NArg() > 0 && o.answer < 0:
			return fmt.Errorf("unexpected argument %q", o.path)
		case o.most < 1 || o.stall <= 0:
			return errors.New("--children and --stall must be positive")
		}
		return nil
	})
	if err != nil {
		os.Exit(tool.UsageStatus(err))
	}
	if o.answer >= 0 {
		err = answer(o)
	} else if err = serve(o); err != nil {
		fmt.Fprintf(os.Stderr, "svfiled: %v\n", err)
	}
	if err != nil {
		os.Exit(statusFailed)
	}
}

// statusFailed is the exit status of a server that cannot serve, and of a child that has told its client why.
const statusFailed = 1

// logf writes one line, with the PID, since children log for themselves. One write(2) keeps the lines of several whole.
func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "svfiled[%d]: %s\n", os.Getpid(), fmt.Sprintf(format, args...))
}
