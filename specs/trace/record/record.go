// Package record starts a server in the specs' hostile environment, follows it with ptrace until it is a daemon, sends
// it some requests, ends it, and cleans up.
package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/facts"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/event"
	"daemonlab/specs/trace/ptrace"
)

var (
	say  = finding.Say
	proc = procfs.New("/proc")
)

// still is how long nothing relevant must happen before a server counts as idle. That is a heuristic.
const still = 100 * time.Millisecond

// Grace is the time the contract gives a daemon after SIGTERM. It bounds a failing trace and costs a passing one
// nothing.
var Grace = 6 * time.Second

// Options are the options of a recording.
type Options struct {
	Launcher   string // the program of specs/launch
	DaemonOnly bool   // the command uses no queue
	// Waiting is called when a wait begins, and done when it is over. It may be nil.
	Waiting func(what rubric.Text) (done func())
}

// taker records one trace.
type taker struct {
	Options
	tracer *ptrace.Tracer
	done   chan struct{} // closed when nothing is left
	err    error         // of the tracer, once done
	news   chan struct{} // has a value while there are events that nobody has looked at

	mu       sync.Mutex
	record   event.Record
	original int
	factsErr error
}

// Take starts the command and records it. An error means that nothing could be recorded; a server that fails is no
// error.
func Take(ctx context.Context, o Options, command ...string) (*event.Record, error) {
	program, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	if o.Waiting == nil {
		o.Waiting = func(rubric.Text) func() { return func() {} }
	}
	t := &taker{Options: o, done: make(chan struct{}), news: make(chan struct{}, 1)}
	t.record = event.Record{Command: command, After: map[int]facts.Facts{}}
	t.tracer = ptrace.New(t.observe)
	cmd, err := harness.Programs{Launcher: o.Launcher}.Command(harness.Hostile(), program, command[1:]...)
	if err != nil {
		return nil, err
	}
	said, err := os.CreateTemp("", "trace-said-") // a daemon may keep it open for long
	if err != nil {
		return nil, err
	}
	defer said.Close()
	os.Remove(said.Name())
	cmd.Stdout, cmd.Stderr = said, said
	go func() {
		t.err = t.tracer.Run(cmd)
		close(t.done)
	}()
	t.direct(ctx)
	t.end(ctx)
	t.record.Left = left(&t.record)
	clean(&t.record)
	text, err := io.ReadAll(io.NewSectionReader(said, 0, maxSaid))
	t.record.Stderr = strings.ToValidUTF8(string(text), "?")
	if t.original == 0 && t.err == nil {
		t.err = fmt.Errorf("the program was not started: %s", strings.TrimSpace(t.record.Stderr))
	}
	return &t.record, errors.Join(t.err, t.factsErr, err, ctx.Err())
}

const maxSaid = 4000 // bytes kept of the command's output

// observe runs in the tracer's thread.
func (t *taker) observe(e *event.Event) {
	t.mu.Lock()
	if t.original == 0 {
		t.original = e.PID
		t.record.Before, t.factsErr = facts.Of(e.PID)
		t.record.Before.Env = procfs.Environment{Vars: e.Env, Live: true} // libc has not located it yet
	}
	t.record.Events = append(t.record.Events, e)
	t.mu.Unlock()
	select {
	case t.news <- struct{}{}:
	default:
	}
}

// add records an event of this process.
func (t *taker) add(e *event.Event) {
	e.At = t.tracer.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record.Events = append(t.record.Events, e)
}

// find finds the first event that fits. Its time is never 0.
func (t *taker) find(fits func(e *event.Event) bool) (found event.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.record.Find(fits); e != nil {
		found = *e
	}
	return found
}

// await waits at most limit for a condition.
func (t *taker) await(ctx context.Context, what rubric.Text, limit time.Duration, so func() bool) bool {
	ctx, cancel := harness.WithTimeout(ctx, limit)
	defer cancel()
	defer t.Waiting(what)()
	for !so() {
		select {
		case <-t.news:
		case <-t.done:
			return so()
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// rest waits at most limit until the server is idle: nothing relevant has happened for a while, and each thread is
// found asleep whenever looked at. A thread that got no processor may be in the middle of its start.
func (t *taker) rest(ctx context.Context, limit time.Duration) {
	ctx, cancel := harness.WithTimeout(ctx, limit)
	defer cancel()
	defer t.Waiting(say("it to become idle"))()
	const looks = 5
	for quiet := 0; quiet < looks; {
		select {
		case <-t.news:
			quiet = 0
		case <-time.After(harness.Stretched(still / looks)):
			if quiet++; !t.asleep() {
				quiet = 0
			}
		case <-t.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// asleep reports whether every thread sleeps, and none runs or is stopped for the tracer.
func (t *taker) asleep() bool {
	for _, pid := range t.tracer.Living() {
		tasks, _ := proc.Process(pid).Tasks()
		if slices.ContainsFunc(tasks, func(s procfs.Status) bool { return s.State != 'S' && !s.State.Ended() }) {
			return false
		}
	}
	return true
}

// direct drives the start and the service. A command that returns, and has neither opened a queue nor been given one,
// is not this lab's: nothing is awaited then.
func (t *taker) direct(ctx context.Context) {
	returned := func(e *event.Event) bool { return e.Kind == event.Ended && e.PID == t.original }
	if !t.await(ctx, say("the command to return"), 2*harness.Patience, func() bool { return t.find(returned).At != 0 }) {
		t.look()
		return
	}
	if !t.ofLab() {
		t.rest(ctx, harness.Patience)
	}
	if t.find(returned).Result == 0 && t.ofLab() {
		t.await(ctx, finding.Same("mq_notify"), harness.Patience, func() bool {
			return t.find((*event.Event).Registers).At != 0 || len(t.tracer.Living()) == 0
		})
		t.await(ctx, say("the middle process to end"), harness.Patience, func() bool { return len(t.tracer.Living()) <= 1 })
		t.rest(ctx, harness.Patience)
	}
	t.look()
	if t.record.ArmedAt != "" && len(t.tracer.Living()) > 0 {
		t.ask(ctx, t.record.ArmedAt)
		if f := t.record.PIDFile(t.record.Daemon()); f != nil && f.Locked && len(t.tracer.Living()) > 0 {
			locked, err := facts.Locked(f.Name())
			t.record.Lost = err == nil && !locked
		}
	}
}

func (t *taker) ofLab() bool {
	return !t.DaemonOnly && (t.queue() != "" || slices.ContainsFunc(t.record.Command, func(argument string) bool {
		return strings.HasPrefix(strings.TrimLeft(argument, "-"), "queue")
	}))
}

// queue returns the request queue's name.
func (t *taker) queue() string {
	if e := t.find((*event.Event).Registers); e.File != "" {
		return e.File
	}
	return t.find(func(e *event.Event) bool { return e.Name == "mq_open" && !e.Failed() }).Path
}

// look records /proc of every living process, the PID files and the registration.
func (t *taker) look() {
	for _, pid := range t.tracer.Living() {
		f, err := facts.Of(pid)
		if err == nil {
			t.record.After[pid] = f
		} else if !procfs.Gone(err) {
			t.factsErr = errors.Join(t.factsErr, err)
		}
	}
	if t.record.Lab = t.ofLab(); t.record.Lab {
		t.record.ArmedAt = t.queue()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record.FindPIDFiles()
	for _, f := range t.record.PIDFiles {
		f.PIDFile, f.Err = facts.ReadPIDFile(f.Name())
	}
	if t.record.ArmedAt != "" {
		t.record.Armed, _, _ = harness.QueueStatus(t.record.ArmedAt) // a queue that cannot be opened has no registration
		t.record.Mode, _ = harness.QueueMode(t.record.ArmedAt)
	}
}

// end asks the daemon to end, then kills what is left.
func (t *taker) end(ctx context.Context) {
	t.mu.Lock()
	daemon := t.record.Daemon()
	t.mu.Unlock()
	ended := func() bool { return !slices.Contains(t.tracer.Living(), daemon) }
	if daemon != 0 && !ended() && ctx.Err() == nil {
		t.add(&event.Event{Kind: event.Told, Result: int64(unix.SIGTERM)})
		t.tracer.Signal(daemon, unix.SIGTERM)
		if t.await(ctx, say("PID %d to end after SIGTERM", daemon), Grace+harness.Slack, ended) {
			t.rest(ctx, harness.Slack)
		} else {
			t.record.Refuses, _ = proc.Process(daemon).Status()
		}
	}
	t.killAll()
	<-t.done
}

// killAll repeats until nothing is left: a process may be forking.
func (t *taker) killAll() {
	if len(t.tracer.Living()) > 0 && t.tracer.Now() > 0 {
		t.add(&event.Event{Kind: event.Told, Result: int64(unix.SIGKILL)})
	}
	for {
		t.tracer.Kill()
		select {
		case <-t.done:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
