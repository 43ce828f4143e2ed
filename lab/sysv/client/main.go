// Svfile fetches a file from a svfiled server over System V message queues: it makes a private queue, sends one request
// with the queue's number to the server's queue and writes what arrives to stdout.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/stdio"
	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
	"daemonlab/lab/tool"
)

const usage = `usage: svfile [--key KEY] PATH

Fetches PATH, a file below the directory that svfiled serves, over System V
message queues, and writes it to stdout.

  --key KEY   of the server's queue, a number (default 0x73766673)
  --help      this text

exit status: 0 done, 1 the server or this side failed, 2 usage, 3 no server or
nothing from it for 10 s, 128+N ended by signal N.
`

// Exit statuses other than 0.
const (
	statusFailed   = 1
	statusNoServer = 3
	statusSignal   = 128 // plus the signal's number, as in shells
)

// patience is how long the server may be inactive: neither make room for the request nor send the next response.
const patience = 10 * time.Second

// own is the client's queue, which outlives the process if it is not removed. It is made and recorded under the lock,
// so that a signal finds either both or neither.
var (
	owning sync.Mutex
	own    sysv.Queue = -1
)

// exit is the only way out, like exit(3) with atexit(3) in C: it removes the queue, whoever calls it. It never unlocks,
// so of several exits the first gives the reason: the others are its consequences, such as a removed queue.
func exit(status int, err error) {
	owning.Lock()
	if errors.Is(err, unix.EPIPE) { // the reader of our output went away
		status, err = statusSignal+int(unix.SIGPIPE), nil
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "svfile: %v\n", err)
	}
	own.Remove() // no queue is fine
	os.Exit(status)
}

// exitOnSignals makes signals end the process through exit, except those ignored by the starter, as by nohup(1) and a
// shell's &. SIGPIPE and SIGXFSZ are ignored, so that write(2) fails instead and says why.
func exitOnSignals() {
	signal.Ignore(unix.SIGPIPE, unix.SIGXFSZ)
	arrived := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGALRM, unix.SIGUSR1,
		unix.SIGUSR2, unix.SIGXCPU} {
		if !signal.Ignored(sig) {
			signal.Notify(arrived, sig)
		}
	}
	go func() { exit(statusSignal+int((<-arrived).(syscall.Signal)), nil) }()
}

func main() {
	key, path := wire.DefaultKey, ""
	f := flag.NewFlagSet("svfile", flag.ContinueOnError)
	f.Var(&key, "key", "")
	err := tool.Parse(f, os.Args[1:], usage, func() (err error) {
		if path = f.Arg(0); f.NArg() != 1 {
			return fmt.Errorf("expected one PATH, not %d", f.NArg())
		}
		_, err = wire.Request{Path: path}.Message()
		return err
	})
	if err != nil {
		os.Exit(tool.UsageStatus(err))
	}
	exitOnSignals()
	exit(fetch(key, path))
}

// fetch runs one exchange. What can fail on this side does so before the server is asked to work.
func fetch(key sysv.Key, path string) (status int, err error) {
	server, err := sysv.Get(key, 0, 0)
	if err != nil {
		return statusNoServer, fmt.Errorf("no server: %w", err)
	}
	owning.Lock()
	own, err = sysv.Get(sysv.Private, sysv.Create|sysv.Exclusive, wire.QueueMode)
	owning.Unlock()
	s, statusErr := own.Status()
	request, requestErr := wire.Request{Queue: own, Path: path}.Message()
	if err := cmp.Or(err, statusErr, requestErr, stdio.CheckStdout()); err != nil {
		return statusFailed, err
	}
	// Neither msgsnd(2) nor msgrcv(2) has a timeout, so a wait that is too long ends the process.
	silence := time.AfterFunc(patience, func() {
		exit(statusNoServer, fmt.Errorf("no server: nothing from it for %v", patience))
	})
	if err := server.Send(wire.RequestType, request, 0); err != nil {
		return statusNoServer, fmt.Errorf("no server: %w", err)
	}
	bytes, messages := 0, 0
	buf := make([]byte, s.MaxBytes)
	for {
		silence.Reset(patience)
		n, kind, err := own.Receive(buf, -wire.End, 0)
		silence.Stop() // our reader may take any time
		switch {
		case err != nil:
			return statusFailed, err
		case kind == wire.Failure:
			return statusFailed, fmt.Errorf("%s: %s", path, buf[:n])
		case kind == wire.End:
			if err := os.Stdout.Close(); err != nil {
				return statusFailed, err
			}
			fmt.Fprintf(os.Stderr, "Received %d bytes (%d messages)\n", bytes, messages)
			return 0, nil
		}
		if _, err := os.Stdout.Write(buf[:n]); err != nil {
			return statusFailed, err
		}
		bytes += n
		messages++
	}
}
