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

	"daemonlab/lab/version"
	"daemonlab/lab/wire"
)

const usage = `usage: mqfiled [flags]

Serves the files below a directory to mqfile clients, as a daemon.

  --root DIR       directory to serve (default: the current one)
  --queue /NAME    request queue (default /mqfiled)
  --pidfile FILE   locked while the daemon lives
                   (default %s)
  --user NAME      account to run as when started by root (default nobody)
  --log FILE       log file, reopened on SIGHUP (default: syslog, if it answers)
  --stall SECONDS  drop a client that takes nothing for this long (default 60)
  --foreground     do not daemonize: for systemd (Type=notify) or debugging
`

const commonUsage = `  --version        print the release
  --help           print this text
`

//lab:begin

const moreUsage = `  --transfers N    most transfers at a time (default %d)
  --status         report whether the daemon is running
  --stop           stop the daemon and wait for its end
`

const usageNotes = `
Exit status: 0 done, 1 failed, 2 usage, 3 not running (--status and --stop)

examples:
  mqfiled --root /srv/files && mqfile notes.txt
  mqfiled --root . --queue /test --pidfile /tmp/test.pid --log /tmp/test.log
  mqfiled --stop --pidfile /tmp/test.pid
`

//lab:end

func usageText() string {
	text := fmt.Sprintf(usage, defaultPIDFile())
	//lab:begin
	text += fmt.Sprintf(moreUsage, defaultTransfers())
	//lab:end
	text += commonUsage
	//lab:begin
	text += usageNotes
	//lab:end
	return text
}

// errUsage means that the command line was wrong and the user has been told.
var errUsage = errors.New("usage")

// config is the daemon's configuration. File names are absolute.
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
	foreground, status, stop bool
	print                    string // text to print instead
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
	f.BoolVar(&o.foreground, "foreground", false, "")
	//lab:begin
	o.Transfers = defaultTransfers()
	f.Func("transfers", "", func(s string) (err error) { o.Transfers, err = parseTransfers(s); return })
	f.BoolVar(&o.status, "status", false, "")
	f.BoolVar(&o.stop, "stop", false, "")
	//lab:end
	which := f.Bool("version", false, "")
	err := f.Parse(args)
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	//lab:begin
	if err == nil && o.status && o.stop {
		err = errors.New("--status and --stop are mutually exclusive")
	}
	//lab:end
	switch {
	case errors.Is(err, flag.ErrHelp):
		return options{print: usageText()}, nil
	case err == nil && *which:
		return options{print: version.Line("mqfiled")}, nil
	case err != nil:
		fmt.Fprintf(os.Stderr, "mqfiled: %v\n\n%s", err, usageText())
		return o, errUsage
	}
	// Relative names start where the command was typed. Abs would clean them, and "link/.." is not ".".
	for _, name := range []*string{&o.Root, &o.PIDFile, &o.Log} {
		if *name == "" || filepath.IsAbs(*name) {
			continue
		}
		here, err := os.Getwd()
		if err != nil {
			return o, err
		}
		*name = here + "/" + *name
	}
	return o, nil
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
		return 0, fmt.Errorf("not a number from 1 to %d, as many as RLIMIT_NOFILE has room for", most)
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
