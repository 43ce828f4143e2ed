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

// Limits on programs are in time of [Now].
var (
	// Patience is how long a program may take for what the contract wants at once. It bounds a failing spec and costs a
	// passing one nothing.
	Patience = 5 * time.Second
	// Slack is what is added to a limit of the contract in seconds: what a busy machine may take to notice.
	Slack = time.Second
)

const (
	// beat is how often the machine is measured. A measurement costs a processor about 1 ms.
	beat = 200 * time.Millisecond
	// longStart is when a process that the clock starts is looked at. A look reads all of /proc: one at each beat would take a
	// slow machine's processors for itself.
	longStart = 5 * time.Second
	// usualStart is more than an idle machine takes to start a process, which is a millisecond or two.
	usualStart = 4 * time.Millisecond
)

// clock goes slower as the machine does: in the time in which a process starts usualStart passes, however long it takes.
// So it stands nearly still while a control group is throttled (cgroups(7), cpu.max), other processes have the
// processor or a virtual machine is held up, and an emulated processor has a slow one. A limit on it gives a correct
// program as much as it needs anywhere, and ends soon on an ordinary machine. While a program waits for a disk,
// which others may keep busy, it goes at a quarter of its speed.
type clock struct {
	once   sync.Once
	mu     sync.Mutex
	now    time.Duration
	slow   float64       // how many times longer than usual the last start took
	begun  time.Time     // of the beat that is on
	held   time.Duration // the longest that a beat came late
	alarms map[*alarm]struct{}
}

type alarm struct {
	at   time.Duration
	ring func()
}

var machine = clock{slow: 1, alarms: map[*alarm]struct{}{}}

// Now is the time of a clock that goes only as fast as this machine does under its load. Its zero means nothing.
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

// HeldUp returns the longest time, since the last call, that this machine kept a process from running, or took to
// start one.
func HeldUp() time.Duration {
	Now()
	machine.mu.Lock()
	defer machine.mu.Unlock()
	held := max(machine.held, time.Since(machine.begun)-beat)
	machine.held = 0
	return held.Round(time.Millisecond)
}

// Stopwatch measures how long a program takes.
type Stopwatch struct {
	begun  time.Time
	now    time.Duration
	asleep time.Duration
	looked time.Time // to see whether the daemon sleeps
}

// NewStopwatch returns a running stopwatch.
func NewStopwatch() Stopwatch {
	return Stopwatch{begun: time.Now(), now: Now()}
}

// Look adds the time since the last look, or glance if it is longer, to what a daemon has slept. That time no machine has
// taken from it, however slow the clock of [Now] was.
func (s *Stopwatch) Look(daemon *Server) {
	const glance = 50 * time.Millisecond // longer ago it may have waited for a processor, as this program did
	now := time.Now()
	if !s.looked.IsZero() && daemon.Sleeps() {
		s.asleep += min(now.Sub(s.looked), glance)
	}
	s.looked = now
}

// Took is the wall-clock time since the start.
func (s Stopwatch) Took() time.Duration {
	return time.Since(s.begun).Round(time.Millisecond)
}

// Within reports whether at most limit has passed on the clock of [Now], and asleep.
func (s Stopwatch) Within(limit time.Duration) bool {
	return max(Now()-s.now, s.asleep) <= limit
}

// Stretched lengthens a limit that cannot be on the clock of [Now] by the machine's slowness.
func Stretched(d time.Duration) time.Duration {
	return time.Duration(float64(d) * Slowness())
}

// AfterFunc calls f in a goroutine of its own when d has passed on the clock of [Now], unless stop was called before.
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

// limited has context.DeadlineExceeded as its error, as a context with a deadline does.
type limited struct{ context.Context }

func (l limited) Err() error {
	return context.Cause(l.Context)
}

// start measures the machine once before the first beat, so the clock is right from its first instant.
func (c *clock) start() {
	c.slow, c.begun = slowness(startProcess()), time.Now()
	go c.run()
}

func (c *clock) run() {
	for {
		time.Sleep(beat)
		startProcess()
		c.advance()
	}
}

// advance ends a beat. A late timer counts as well: in a throttled group nothing else shows how late it was.
func (c *clock) advance() {
	passed, speed := time.Since(c.begun), 1.0
	if waitForDisk() {
		speed = 1.0 / 4
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	late := passed - beat
	c.slow, c.held = slowness(late), max(c.held, late)
	c.now += time.Duration(float64(passed) / c.slow * speed)
	c.begun = time.Now()
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

// killStopped kills what the clock starts if it is stopped: the clock would stand still with it. It may be in vfork(2)
// yet, a copy of this program for which this one waits. If Go's runtime stops the world then, this waits as well, and
// the judge's own limit ends the row.
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

// runs reports whether a process executes a program.
func runs(pid int, program string) bool {
	exe, err := os.Stat(proc.Process(pid).Path("exe"))
	want, wantErr := os.Stat(program)
	return err == nil && wantErr == nil && os.SameFile(exe, want)
}
