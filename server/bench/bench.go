package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	lab "daemonlab/lab/sysv"
	"daemonlab/specs/harness"
)

// bench is one run of all benchmarks.
type bench struct {
	work   string  // directory
	queue  string  // the servers' request queue
	key    lab.Key // of the System V server
	quick  bool
	report *report
}

func newBench(o options) *bench {
	pid := os.Getpid()
	return &bench{work: o.work, queue: fmt.Sprintf("/bench-%d", pid), key: lab.Key(0x62000000 | pid&0xffffff), quick: o.quick,
		report: &report{Machine: thisMachine(), Rounds: o.rounds, Quick: o.quick}}
}

func (b *bench) path(name string) string { return filepath.Join(b.work, name) }

// unlinkReplies removes reply queues of C clients that were killed.
func (b *bench) unlinkReplies() {
	for i := range slowTransfers { // an upper bound for every load
		mq.Unlink(fmt.Sprintf("%s-%d", b.queue, i))
	}
}

// prepare creates what the loads need.
func (b *bench) prepare() error {
	slow := append(slices.Repeat([]shape{slowShape}, slowTransfers), requestQueue)
	if err := cmp.Or(b.checkRoom(deep), b.checkRoom(slow...)); err != nil {
		return err
	}
	// Servers started by root serve as nobody.
	if err := errors.Join(os.Chmod(b.work, 0o755), os.Mkdir(b.path("files"), 0o755)); err != nil {
		return err
	}
	sizes := map[int]bool{slowBytes: true}
	for _, l := range loads(b.quick) {
		sizes[l.bytes] = true
	}
	for size := range sizes {
		if err := makeFile(b.path("files/"+strconv.Itoa(size)), int64(size)); err != nil {
			return err
		}
	}
	return nil
}

// makeFile makes a file named after its size: the raw limit knows only the name.
func makeFile(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{}), size)
	return errors.Join(err, f.Chmod(0o644), f.Close())
}

type shape harness.Shape // of a queue

// requestQueue is the shape that the contract prescribes.
var requestQueue = shape{10, 4356}

// checkRoom makes the queues of a load and removes them, so that lack of room is reported before the start, not midway.
func (b *bench) checkRoom(queues ...shape) error {
	for i, s := range queues {
		q, err := mq.Open(fmt.Sprintf("%s-room-%d", b.queue, i), os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600,
			&mq.Attr{MaxMsg: s.Depth, MsgSize: s.MsgSize})
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENOSPC) {
			return fmt.Errorf("no room for %d message queues: %w; %s", len(queues), err, whoHasRoom())
		}
		if err != nil {
			return err
		}
		defer q.Close()
		defer mq.Unlink(q.Name())
	}
	return nil
}

func whoHasRoom() string {
	return fmt.Sprintf("other processes of user %d hold message queues, and RLIMIT_MSGQUEUE counts them all; end them, or "+
		"run as another user", os.Getuid())
}

const (
	patience = 60 * time.Second // for a load; it only takes that long if a request was lost
	limit    = 10 * time.Second // for a start, and for an end
)

// helper prepares a program that is sent SIGTERM, with everything it has started, when ctx is done; clients then remove
// their queues. Its own process group keeps a terminal's Ctrl-C away: this process has to end things in order.
func helper(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGTERM) }
	cmd.WaitDelay = limit
	return cmd
}

// finish runs a helper to its end, with stdout to out, which may be nil. An error includes its stderr, which goes to a
// file: a pipe and its reader would take part of the time.
func (b *bench) finish(ctx context.Context, out io.Writer, program string, args ...string) (took time.Duration, err error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	said, err := os.Create(b.path("said"))
	if err != nil {
		return 0, err
	}
	defer said.Close()
	cmd := helper(limited, program, args...)
	cmd.Stdout, cmd.Stderr = out, said
	begin := time.Now()
	err = cmd.Run()
	took = time.Since(begin)
	if limited.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("not done after %v, so a request seems to be lost", patience)
	}
	text, _ := os.ReadFile(said.Name())
	return took, explain(filepath.Base(program), err, string(text))
}

// noRoom is the exit status of a load that cannot make its queues.
const noRoom = 3

func explain(name string, err error, said string) error {
	var exit *exec.ExitError
	switch said := strings.TrimSpace(said); {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == noRoom:
		return fmt.Errorf("%s: %s: %s", name, said, whoHasRoom())
	default:
		return fmt.Errorf("%s: %w: %s", name, err, said)
	}
}
