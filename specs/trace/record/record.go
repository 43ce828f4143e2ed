// Package record starts a server in the specs' hostile setting, follows it by ptrace until it is a daemon, has it serve
// some requests, ends it, and leaves nothing of it.
package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/harness"
	"daemonlab/specs/trace/event"
	"daemonlab/specs/trace/ptrace"
)

const (
	// still is how long nothing that matters must happen before a server counts as at rest. That it will do no more
	// cannot be known.
	still = 100 * time.Millisecond
	// grace is what the contract gives a daemon after SIGTERM.
	grace = 6 * time.Second
)

// taker takes one record.
type taker struct {
	programs harness.Programs
	tracer   *ptrace.Tracer
	done     chan struct{} // closed when nothing is left
	err      error         // of the tracer, once done
	news     chan struct{} // one is waiting when there are events that nobody has looked at

	mu        sync.Mutex
	record    event.Record
	original  int
	ending    bool // what ends now is ended by the tracer
	factsErr  error
	cleanings cleanings
}

// Take starts the command and records it. launcher is the program of specs/launch. The error says why nothing could be
// recorded; a server that goes wrong is no error.
func Take(ctx context.Context, launcher string, command []string) (*event.Record, error) {
	program, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	t := &taker{programs: harness.Programs{Launcher: launcher}, done: make(chan struct{}), news: make(chan struct{}, 1)}
	t.record = event.Record{Command: command, After: map[int]event.Facts{}, Exit: -1}
	t.tracer = ptrace.New(t.observe)
	cmd, err := t.programs.Command(harness.Hostile(), program, command[1:]...)
	if err != nil {
		return nil, err
	}
	said, err := newSaid(cmd)
	if err != nil {
		return nil, err
	}
	defer said.Close()
	go func() {
		t.err = t.tracer.Run(cmd)
		close(t.done)
	}()
	t.direct(ctx)
	t.end(ctx)
	t.cleanings.clean(slices.Collect(maps.Keys(t.processes())))
	t.record.Stderr, err = said.text()
	return &t.record, errors.Join(t.err, t.factsErr, t.launched(), err, ctx.Err())
}

// launched is an error when the program was not even executed.
func (t *taker) launched() error {
	if t.original == 0 && t.err == nil {
		return fmt.Errorf("the program was not started: %s", strings.TrimSpace(t.record.Stderr))
	}
	return nil
}

// said is a file for what the command writes. A daemon may keep it open as long as it likes.
type said struct{ *os.File }

func newSaid(cmd *exec.Cmd) (said, error) {
	file, err := os.CreateTemp("", "trace-said-")
	if err != nil {
		return said{}, err
	}
	os.Remove(file.Name())
	cmd.Stdout, cmd.Stderr = file, file
	return said{file}, nil
}

const maxSaid = 4000 // bytes that are kept

func (s said) text() (string, error) {
	text, err := io.ReadAll(io.NewSectionReader(s, 0, maxSaid))
	return strings.ToValidUTF8(string(text), "?"), err
}

// observe runs in the tracer's thread.
func (t *taker) observe(e event.Event) {
	t.mu.Lock()
	if t.original == 0 {
		t.original = e.PID
		t.record.Before, t.factsErr = factsBefore(e)
	}
	if e.Kind == event.Ended && e.PID == t.original && !t.ending {
		t.record.Exit = exitStatus(e)
	}
	t.record.Events = append(t.record.Events, e)
	t.cleanings.note(&e)
	t.mu.Unlock()
	select {
	case t.news <- struct{}{}:
	default:
	}
}

// exitStatus is that of a shell, 128 plus the signal's number for a process that was killed.
func exitStatus(e event.Event) int {
	status := unix.WaitStatus(e.Result)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// add records something that this process does.
func (t *taker) add(e event.Event) {
	e.At = t.tracer.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record.Events = append(t.record.Events, e)
}

// has tells whether an event that fits has been recorded.
func (t *taker) has(fits func(e *event.Event) bool) bool {
	return t.find(fits).At != 0
}

func (t *taker) find(fits func(e *event.Event) bool) event.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.record.Events {
		if fits(&t.record.Events[i]) {
			return t.record.Events[i]
		}
	}
	return event.Event{}
}

// await waits until something is so, as long as limit.
func (t *taker) await(ctx context.Context, limit time.Duration, so func() bool) bool {
	ctx, cancel := harness.WithTimeout(ctx, limit)
	defer cancel()
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

// rest waits until the server is at rest, as long as limit.
func (t *taker) rest(ctx context.Context, limit time.Duration) {
	ctx, cancel := harness.WithTimeout(ctx, limit)
	defer cancel()
	for {
		select {
		case <-t.news:
		case <-time.After(harness.Stretched(still)):
			return
		case <-t.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

func registers(e *event.Event) bool {
	return e.Name == "mq_notify" && !e.Failed() && e.Args[1] != 0
}

// direct goes through the start and the service.
func (t *taker) direct(ctx context.Context) {
	returned := func(e *event.Event) bool { return e.Kind == event.Ended && e.PID == t.original }
	if !t.await(ctx, 2*harness.Patience, func() bool { return t.has(returned) }) {
		t.look()
		return
	}
	if t.record.Exit == 0 {
		t.await(ctx, harness.Patience, func() bool { return t.has(registers) || len(t.tracer.Living()) == 0 })
	}
	t.rest(ctx, harness.Patience)
	t.look()
	if queue := t.queue(); queue != "" && len(t.tracer.Living()) > 0 {
		t.ask(ctx, queue)
	}
}

// queue is where requests go.
func (t *taker) queue() string {
	if e := t.find(registers); e.File != "" {
		return e.File
	}
	return t.find(func(e *event.Event) bool { return e.Name == "mq_open" && !e.Failed() }).Path
}

// look keeps what /proc shows of every process that lives.
func (t *taker) look() {
	for _, pid := range t.tracer.Living() {
		facts, err := factsAfter(pid)
		t.mu.Lock()
		if err == nil {
			t.record.After[pid] = facts
		} else if !procfs.Gone(err) {
			t.factsErr = errors.Join(t.factsErr, err)
		}
		t.mu.Unlock()
	}
}

// end asks what lives to end, and ends it by force when it does not.
func (t *taker) end(ctx context.Context) {
	t.mu.Lock()
	t.ending = true
	t.mu.Unlock()
	limit := harness.Slack
	if t.has(registers) {
		limit += grace
	}
	if living := t.tracer.Living(); len(living) > 0 {
		t.add(event.Event{Kind: event.Told, Result: int64(unix.SIGTERM)})
		for _, pid := range living {
			t.tracer.Signal(pid, unix.SIGTERM)
		}
	}
	if !t.await(ctx, limit, func() bool { return len(t.tracer.Living()) == 0 }) {
		t.killAll()
	}
	<-t.done
}

// killAll goes on until nothing is left, since a process may fork in that instant.
func (t *taker) killAll() {
	for {
		t.tracer.Kill()
		select {
		case <-t.done:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// processes are all that there have been.
func (t *taker) processes() map[int]bool {
	pids := map[int]bool{}
	for _, e := range t.record.Events {
		pids[e.PID] = true
	}
	return pids
}
