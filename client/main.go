// Mqfile fetches a file from an mqfiled server over POSIX message queues: it makes a reply queue of its own, sends one
// request to the server's queue and writes what arrives to stdout or to a file.
package main

import (
	"fmt"
	"os"
)

func main() {
	os.Exit(report(run(os.Args[1:])))
}

// run does what the command line asks for. Whatever it returns, it has left nothing behind.
func run(args []string) error {
	opts, err := parse(args)
	if err != nil {
		return err
	}
	if opts.help {
		_, err := fmt.Print(usage)
		return err
	}
	//lab:begin output exit cleanup
	//lab:instead return fmt.Errorf("%s is not asked for anything yet", opts.queue)
	left, bar := &leftovers{}, &progress{}
	defer left.remove()
	catchSignals(func() {
		left.removeForGood()
		bar.eraseNow()
	})
	got, err := fetch(opts, left, bar)
	bar.stop()
	if err != nil {
		return err
	}
	finishing()
	fmt.Fprintf(os.Stderr, "Received %d bytes (%d messages)\n", got.bytes, got.messages)
	return nil
	//lab:end
}
