// Mqfile fetches a file from an mqfiled server over POSIX message queues: it makes a reply queue of its own, sends one
// request to the server's queue and writes what arrives to stdout or to a file.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"daemonlab/lab/stdio"
)

func main() {
	os.Exit(report(run(os.Args[1:])))
}

// run executes the command line. When it returns, no queue and no unfinished file is left.
func run(args []string) error {
	opts, err := parse(args)
	if err != nil {
		return err
	}
	if opts.print != "" {
		return stdio.Print(opts.print)
	}
	//lab:begin output exit cleanup: send-request
	//lab:instead return fmt.Errorf("no request is sent to %s yet", opts.queue)
	if err := checkDescriptors(); err != nil {
		return err
	}
	signals := catchSignals()
	left, s := &leftovers{}, &state{}
	defer left.removeForGood()
	if err := watch(opts, left, s, signals); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Received %d bytes (%d messages)\n", s.received.Load(), s.messages)
	return nil
	//lab:end
}

//lab:begin

// checkDescriptors fails when RLIMIT_NOFILE leaves fewer descriptors than the program may need. Go's runtime crashes
// if it gets none for its timers, and mq_open(2) says EMFILE for RLIMIT_MSGQUEUE too.
func checkDescriptors() error {
	for range 8 {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("too few file descriptors (RLIMIT_NOFILE, ulimit -n): %w", err)
		}
		defer unix.Close(fd)
	}
	return nil
}

//lab:end
