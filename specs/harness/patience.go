package harness

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Limits on programs are durations on the clock of [Now].
var (
	// Patience is the limit for what the contract wants at once. It bounds a failing spec and costs a passing one
	// nothing.
	Patience = 5 * time.Second
	// Slack is added to limits that the contract states in seconds: a busy machine may take that long to notice.
	Slack = time.Second
)

const (
	// beat is the period, on the clock, at which the machine is measured. A measurement costs about 1 ms of CPU time,
	// which a slow machine has less of.
	beat, longestBeat = 200 * time.Millisecond, time.Second
	// longStart is when the clock starts to check on a process it started. The check reads all of /proc: done at each
	// beat it would keep a slow machine busy.
	longStart = 5 * time.Second
	// usualStart exceeds the time an idle machine takes to start a process, a millisecond or two.
	usualStart = 4 * time.Millisecond
)

// clock slows down with the machine: while a process starts, usualStart passes, however long it takes. So it nearly
// stands still while a control group is throttled (cgroups(7), cpu.max), other processes use the processors or a
// virtual machine is paused, and it is slow on an emulated processor. A limit on this clock gives a correct program
// what it needs anywhere, and expires soon on an ordinary machine. While a program waits for a disk, which others may
// keep busy, it runs at a quarter speed.
type clock struct {
	once   sync.Once
	mu     sync.Mutex
	now    time.Duration
	slow   float64       // how many times longer than usual the last start took
	begun  time.Time     // when the current beat began
	beat   time.Duration // how long it is to be
	held   time.Duration // longest delay of a beat
	alarms map[*alarm]struct{}
}

type alarm struct {
	at   time.Duration
	ring func()
}

var machine = clock{slow: 1, alarms: map[*alarm]struct{}{}}

// Now reads a clock that runs only as fast as this machine under its load. Only differences are meaningful.
func Now() time.Duration {
	machine.once.Do(machine.start)
	machine.mu.Lock()
	defer machine.mu.Unlock()
	return machine.now
}

// Slowness returns how many times longer than usual this machine takes to start a process.
func Slowness() float64 {
	Now()
	machine.mu.Lock()
	defer machine.mu.Unlock()
	return machine.slow
}

// HeldUp returns the longest time since its last call for which this machine kept a process from running, or took to
// start one.
func HeldUp() time.Duration {
	Now()
	machine.mu.Lock()
	defer machine.mu.Unlock()
	held := max(machine.held, time.Since(machine.begun)-machine.beat)
	machine.held = 0
	return held.Round(time.Millisecond)
}

// Stopwatch measures the time a program takes.
type Stopwatch struct {
	begun  time.Time
	now    time.Duration
	asleep time.Duration
	looked time.Time // when it was last checked whether the daemon sleeps
}

// NewStopwatch returns a running stopwatch.
func NewStopwatch() Stopwatch {
	return Stopwatch{begun: time.Now(), now: Now()}
}

// Look adds the time since the last look, at most glance, to the daemon's sleep. The machine did not take that time
// from it, however slow the clock of [Now] was.
func (s *Stopwatch) Look(daemon *Server) {
	const glance = 50 * time.Millisecond // earlier it may have waited for a processor, as we did
	now := time.Now()
	if !s.looked.IsZero() && daemon.Sleeps() {
		s.asleep += min(now.Sub(s.looked), glance)
	}
	s.looked = now
}

// Took returns the wall-clock time since the start.
func (s Stopwatch) Took() time.Duration {
	return time.Since(s.begun).Round(time.Millisecond)
}

// Within reports whether at most limit has passed, on the clock of [Now] or asleep.
func (s Stopwatch) Within(limit time.Duration) bool {
	return max(Now()-s.now, s.asleep) <= limit
}

// Stretched scales a limit that cannot use the clock of [Now] by the machine's slowness.
func Stretched(d time.Duration) time.Duration {
	return time.Duration(float64(d) * Slowness())
}

// AfterFunc calls f in its own goroutine once d has passed on the clock of [Now], unless stop is called first.
func AfterFunc(d time.Duration, f func()) (stop func()) {
	a := &alarm{Now() + d, f}
	machine.mu.Lock()
	defer machine.mu.Unlock()
	machine.alarms[a] = struct{}{}
	return func() {
		machine.mu.Lock()
		defer machine.mu.Unlock()
		delete(machine.alarms, a)
	}
}

// WithTimeout is [context.WithTimeout] on the clock of [Now].
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	stop := AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return limited{ctx}, func() {
		stop()
		cancel(context.Canceled)
	}
}

// limited reports context.DeadlineExceeded, as a context with a deadline does.
type limited struct{ context.Context }

func (l limited) Err() error {
	return context.Cause(l.Context)
}

// start measures the machine once before the first beat, so the clock is right from the start.
func (c *clock) start() {
	c.beginBeat(slowness(startProcess()))
	go c.run()
}

func (c *clock) run() {
	for {
		time.Sleep(c.beat)
		startProcess()
		c.advance()
	}
}

func (c *clock) beginBeat(slow float64) {
	c.slow, c.begun = slow, time.Now()
	c.beat = min(time.Duration(slow*float64(beat)), longestBeat)
}

// advance ends a beat. A late timer counts too: in a throttled group nothing else shows the delay.
func (c *clock) advance() {
	passed, speed := time.Since(c.begun), 1.0
	if waitForDisk() {
		speed = 1.0 / 4
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	late := passed - c.beat
	c.held = max(c.held, late)
	c.beginBeat(slowness(late))
	c.now += time.Duration(float64(passed) / c.slow * speed)
	maps.DeleteFunc(c.alarms, func(a *alarm, _ struct{}) bool {
		due := a.at <= c.now
		if due {
			go a.ring()
		}
		return due
	})
}

func slowness(took time.Duration) float64 {
	return max(1, float64(took)/float64(usualStart))
}

// measure is the program that the clock starts.
const measure = "/bin/true"

func startProcess() time.Duration {
	begin, done := time.Now(), make(chan struct{})
	go killStopped(done)
	cmd := exec.Command(measure)
	if startOwn(cmd) == nil {
		waitForOwn(cmd)
	}
	close(done)
	return time.Since(begin)
}

// killStopped kills the clock's process if somebody has stopped it: the clock would stop with it. The process may still
// be in vfork(2), a copy of this program for which this one waits. If Go's runtime then stops the world, this waits
// too, and the judge's own limit ends the row.
func killStopped(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(longStart):
		}
		children, _ := proc.Children(os.Getpid())
		for _, child := range children {
			if child.State == 'T' && (runs(child.Pid, measure) || runs(child.Pid, "/proc/self/exe")) {
				tampered.Store(true)
				unix.Kill(child.Pid, unix.SIGKILL)
			}
		}
	}
}

// runs reports whether a process executes the given program.
func runs(pid int, program string) bool {
	exe, err := os.Stat(proc.Process(pid).Path("exe"))
	want, wantErr := os.Stat(program)
	return err == nil && wantErr == nil && os.SameFile(exe, want)
}
