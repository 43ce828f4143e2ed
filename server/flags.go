package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"daemonlab/lab/wire"
)

const usage = `usage: mqfiled [flags]

Serves the files below a directory to mqfile clients, as a daemon.

  --root DIR       directory to serve (default: this one)
  --queue /NAME    request queue (default /mqfiled)
  --pidfile FILE   locked while the daemon lives
                   (default %s)
  --user NAME      account to become when started by root (default nobody)
  --log FILE       log file, reopened on SIGHUP (default: syslog, if it answers)
  --stall SECONDS  give up a client that takes nothing for so long (default 60)
  --foreground     do not daemonize: for systemd (Type=notify) or debugging
  --help           this text
`

//lab:begin

const moreUsage = `  --transfers N    transfers at a time (default %d)
  --status         does the daemon of this PID file run (exit 3: no), and how
  --stop           end it and wait for that

examples:
  mqfiled --root /srv/files && mqfile notes.txt
  mqfiled --root . --queue /test --pidfile /tmp/test.pid --log /tmp/test.log
  mqfiled --stop --pidfile /tmp/test.pid
`

//lab:end

func showUsage(w io.Writer) {
	fmt.Fprintf(w, usage, defaultPIDFile())
	//lab:begin
	fmt.Fprintf(w, moreUsage, defaultTransfers())
	//lab:end
}

// errUsage means that the flags were wrong and that the user has been told.
var errUsage = errors.New("usage")

type action int

const (
	actionStart action = iota
	actionForeground
	//lab:begin
	actionStatus
	actionStop
	//lab:end
)

// config is what the daemon has to know. File names are absolute.
type config struct {
	Root    string
	Queue   string
	PIDFile string
	User    string
	Log     string // empty: syslog
	Stall   time.Duration
	//lab:begin
	Transfers int
	//lab:end
}

type options struct {
	config
	action action
}

func parseFlags(args []string) (options, error) {
	o := options{config: config{Stall: 60 * time.Second}}
	f := flag.NewFlagSet("mqfiled", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.Root, "root", ".", "")
	f.StringVar(&o.Queue, "queue", wire.DefaultQueue, "")
	f.StringVar(&o.PIDFile, "pidfile", defaultPIDFile(), "")
	f.StringVar(&o.User, "user", "nobody", "")
	f.StringVar(&o.Log, "log", "", "")
	f.Func("stall", "", func(s string) (err error) { o.Stall, err = parseSeconds(s); return })
	f.BoolFunc("foreground", "", o.choose(actionForeground))
	//lab:begin
	o.Transfers = defaultTransfers()
	f.Func("transfers", "", func(s string) (err error) { o.Transfers, err = parseTransfers(s); return })
	f.BoolFunc("status", "", o.choose(actionStatus))
	f.BoolFunc("stop", "", o.choose(actionStop))
	//lab:end

	err := f.Parse(args)
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		showUsage(os.Stdout)
		return o, err
	case err != nil:
		fmt.Fprintf(os.Stderr, "mqfiled: %v\n\n", err)
		showUsage(os.Stderr)
		return o, errUsage
	}
	return o, o.makeAbsolute()
}

// choose is the value of a flag that says what to do; a last one wins.
func (o *options) choose(a action) func(string) error {
	return func(value string) error {
		chosen, err := strconv.ParseBool(value)
		if chosen {
			o.action = a
		}
		return err
	}
}

// makeAbsolute takes relative names from where the command was typed, which the daemon leaves.
func (o *options) makeAbsolute() error {
	for _, name := range []*string{&o.Root, &o.PIDFile, &o.Log} {
		if *name == "" {
			continue
		}
		absolute, err := filepath.Abs(*name)
		if err != nil {
			return fmt.Errorf("%s: %w", *name, err)
		}
		*name = absolute
	}
	return nil
}

func parseSeconds(s string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || !(seconds > 0 && seconds <= 1e9) {
		return 0, errors.New("not a positive number of seconds")
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

//lab:begin

func parseTransfers(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if most := maxTransfers(); err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("not a number from 1 to %d, for which RLIMIT_NOFILE has room", most)
	}
	return n, nil
}

//lab:end

func defaultPIDFile() string {
	if os.Geteuid() == 0 {
		return "/run/mqfiled.pid"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "mqfiled.pid")
	}
	return fmt.Sprintf("/tmp/mqfiled-%d.pid", os.Getuid())
}
