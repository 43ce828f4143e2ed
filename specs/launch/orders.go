package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
)

// orders is the parsed command line.
type orders struct {
	failures int // descriptor
	planted  []planting
	block    procfs.SignalSet
	ignore   procfs.SignalSet
	umask    int // -1: unchanged
	env      []string
	terminal int // descriptor, -1: none
	limits   []limit
	noFixup  bool // SECBIT_NO_SETUID_FIXUP
	confine  bool
	killAt   bool // mq_notify(2)
	badFrom  uint // pread64(2) fails at this file offset and beyond, 0: never

	program string   // absolute
	args    []string // including argv[0]
}

// planting puts a given descriptor at another number.
type planting struct{ from, to int }

type limit struct {
	name     string
	resource int
	unix.Rlimit
}

var resources = map[string]int{
	"nofile": unix.RLIMIT_NOFILE, "msgqueue": unix.RLIMIT_MSGQUEUE, "fsize": unix.RLIMIT_FSIZE,
	"nproc": unix.RLIMIT_NPROC, "data": unix.RLIMIT_DATA,
}

// parse parses the command line. Lists are comma-separated; repeating an order adds to it.
func parse(args []string) (*orders, error) {
	o := &orders{failures: 2, umask: -1, terminal: -1}
	f := flag.NewFlagSet("launch", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.IntVar(&o.failures, "failures", 2, "`FD`, where to say what has failed")
	f.Func("plant", "`FROM:TO`, have descriptor FROM of the launcher at TO, without close-on-exec", list(o.addPlant))
	f.Func("block", "`SIGNAL`, block it", list(signal(&o.block)))
	f.Func("ignore", "`SIGNAL`, ignore it", list(signal(&o.ignore)))
	f.Func("umask", "`MASK`, octal", func(value string) error {
		mask, err := strconv.ParseUint(value, 8, 9)
		o.umask = int(mask)
		return err
	})
	f.Func("env", "`STRING`, one entry of the environment, which then has no others", func(value string) error {
		o.env = append(o.env, value)
		return nil
	})
	f.IntVar(&o.terminal, "terminal", -1, "`FD`, make it the controlling terminal of a new session")
	f.Func("rlimit", "`NAME=SOFT:HARD`", list(o.addLimit))
	f.BoolVar(&o.noFixup, "no-setuid-fixup", false, "set this securebit (capabilities(7))")
	f.BoolVar(&o.confine, "confine", false, "take what only the suite may have from a program that is not trusted")
	f.BoolVar(&o.killAt, "kill-at-notify", false, "have the kernel kill whoever calls mq_notify(2)")
	f.UintVar(&o.badFrom, "bad-from", 0, "`OFFSET`, have every pread(2) there and beyond fail with EIO, as on a bad disk")
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(os.Stderr)
		f.PrintDefaults()
	case err == nil:
		err = o.setProgram(f.Args())
	}
	return o, err
}

func list(add func(string) error) func(string) error {
	return func(value string) error {
		for item := range strings.SplitSeq(value, ",") {
			if err := add(item); err != nil {
				return err
			}
		}
		return nil
	}
}

func signal(to *procfs.SignalSet) func(string) error {
	return func(item string) error {
		sig, err := procfs.ParseSignal(item)
		if err == nil {
			*to |= procfs.NewSignalSet(sig)
		}
		return err
	}
}

func (o *orders) addPlant(item string) error {
	var p planting
	if _, err := fmt.Sscanf(item, "%d:%d", &p.from, &p.to); err != nil || p.to < 3 {
		return errors.New("not FROM:TO with TO above 2")
	}
	o.planted = append(o.planted, p)
	return nil
}

func (o *orders) addLimit(item string) error {
	name, values, _ := strings.Cut(item, "=")
	resource, known := resources[name]
	l := limit{name: name, resource: resource}
	if _, err := fmt.Sscanf(values, "%d:%d", &l.Cur, &l.Max); err != nil || !known {
		return errors.New("not NAME=SOFT:HARD of a known resource")
	}
	o.limits = append(o.limits, l)
	return nil
}

func (o *orders) setProgram(program []string) error {
	if len(program) == 0 {
		return errors.New("no program to start")
	}
	path, err := exec.LookPath(program[0])
	if err != nil {
		return err
	}
	o.program, err = filepath.Abs(path)
	o.args = program
	if o.env == nil {
		o.env = os.Environ()
	}
	return err
}
