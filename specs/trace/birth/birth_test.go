package birth_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/trace/birth"
	"daemonlab/specs/trace/event"
)

// PIDs of the processes in these records.
const (
	original = 100
	middle   = 101
	daemon   = 102
)

const (
	pidFile = "/run/d.pid"
	pipe    = "pipe:[7]"
	queue   = "/q"
)

// call is a system call that succeeds.
func call(pid int, name string, args ...uint64) event.Event {
	e := event.Event{Kind: event.Call, PID: pid, TID: pid, Name: name}
	copy(e.Args[:], args)
	return e
}

func on(file string, e event.Event) event.Event {
	e.File = file
	return e
}

func named(path string, e event.Event) event.Event {
	e.Path = path
	return e
}

func value(v uint64, e event.Event) event.Event {
	e.Value = v
	return e
}

func gives(result int64, e event.Event) event.Event {
	e.Result = result
	return e
}

func interrupted(e event.Event) event.Event {
	e.Cut = true
	return gives(-int64(unix.EINTR), e)
}

func writes(data string, e event.Event) event.Event {
	e.Data = []byte(data)
	return gives(int64(len(data)), e)
}

func born(parent, child int) event.Event {
	return event.Event{Kind: event.Born, PID: parent, TID: parent, Name: "fork", Result: int64(child)}
}

func ended(pid int) event.Event {
	return event.Event{Kind: event.Ended, PID: pid, TID: pid}
}

const rdwr = unix.O_RDWR | unix.O_CREAT | unix.O_NOFOLLOW

var (
	opens     = named("d.pid", value(rdwr, gives(5, on(pidFile, call(daemon, "open")))))
	locks     = on(pidFile, call(daemon, "flock", 5, unix.LOCK_EX|unix.LOCK_NB))
	writesPID = writes("102\n", on(pidFile, call(daemon, "write", 5)))
	truncates = on(pidFile, call(daemon, "ftruncate", 5, 4))
	registers = value(2, on(queue, call(daemon, "mq_notify", 6, 1)))
	tells     = writes("ready", on(pipe, call(daemon, "write", 4)))
	hears     = writes("ready", on(pipe, call(original, "read", 3)))
	asks      = event.Event{Kind: event.Client, Path: "a request"}
	notified  = writes(strings.Repeat("\x00", 31)+"\x01", on("socket:[8]", call(daemon, "read", 7)))
	takes     = gives(20, on(queue, call(daemon, "mq_receive", 6)))
	findsNone = gives(-int64(unix.EAGAIN), on(queue, call(daemon, "mq_receive", 6)))
)

// forks is how a right daemon comes to be.
var forks = []event.Event{
	{Kind: event.Executed, PID: original, TID: original, Path: "/bin/d"},
	born(original, middle), gives(middle, call(middle, "setsid")), born(middle, daemon), ended(middle),
}

// start is a whole right start, with another way to the PID file if one is given.
func start(pidFile ...event.Event) []event.Event {
	if pidFile == nil {
		pidFile = []event.Event{opens, locks, writesPID, truncates}
	}
	return join(forks, pidFile, []event.Event{registers, tells, hears, ended(original)})
}

func join(parts ...[]event.Event) (all []event.Event) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func then(events ...event.Event) []event.Event { return events }

// record times the events and says that the daemon has become what it should.
func record(events []event.Event) *event.Record {
	r := &event.Record{Command: []string{"d"}, Events: append([]event.Event(nil), events...)}
	for i := range r.Events {
		r.Events[i].At = time.Duration(i+1) * time.Millisecond
		r.Events[i].Began = r.Events[i].At
	}
	null := procfs.Descriptor{Mode: unix.S_IFCHR, Rdev: unix.Mkdev(1, 3)}
	for fd := range 3 {
		null.Number = fd
		r.Before.Descriptors = append(r.Before.Descriptors, null)
	}
	for i, fd := range []int{7, 300} {
		planted := procfs.Descriptor{Number: fd, Target: "/planted", ID: procfs.FileID{Dev: 1, Ino: uint64(i)}}
		r.Before.Descriptors = append(r.Before.Descriptors, planted)
	}
	r.Before.Stat.Session = 50
	user := procfs.Status{Uid: procfs.IDs{1, 1, 1, 1}, Gid: procfs.IDs{1, 1, 1, 1}}
	r.After = map[int]event.Facts{daemon: {
		Stat: procfs.Stat{Pid: daemon, PPid: 1, Session: middle}, Status: user, Tasks: []procfs.Status{user}, Cwd: "/",
		Descriptors: r.Before.Descriptors[:3],
	}}
	return r
}

var service = then(asks, notified, registers, takes, findsNone)

// marks says of stories what is marked in them.
var marks = map[string]struct {
	events []event.Event
	marks  []string // "id: beginning of the row, part of the text"
}{
	"all is right":                 {join(start(), service), nil},
	"drained, registered, drained": {join(start(), then(asks, notified, takes, findsNone, registers, findsNone)), nil},
	"written before the lock": {join(start(opens, writesPID, locks), service),
		[]string{"pidfile: write(d.pid, without the lock"}},
	"truncated before the lock": {join(start(opens, truncates, locks, writesPID), service),
		[]string{"instance: ftruncate(d.pid, before the lock"}},
	"opened with O_TRUNC": {join(start(value(rdwr|unix.O_TRUNC, opens), locks, writesPID), service),
		[]string{"instance: open(d.pid, O_TRUNC"}},
	"follows links": {join(start(value(unix.O_RDWR|unix.O_CREAT, opens), locks, writesPID), service),
		[]string{"pidfile: open(d.pid, symbolic link"}},
	"waits for the lock": {join(start(opens, on(pidFile, call(daemon, "flock", 5, unix.LOCK_EX)), writesPID), service),
		[]string{"instance: flock(d.pid, would hang"}},
	"names the original": {join(start(opens, locks, writes("100\n", writesPID)), service),
		[]string{"pidfile: write(d.pid, 100 is the original, the daemon is 102"}},
	"closes the lock": {join(start(opens, locks, writesPID, on(pidFile, call(daemon, "close", 5))), service),
		[]string{"pidfile: close(d.pid, the lock is gone"}},
	"closes another descriptor under flock": {
		join(start(opens, locks, writesPID, on(pidFile, call(daemon, "close", 9))), service), nil},
	"closes another descriptor under fcntl": {
		join(start(opens, value(unix.F_WRLCK, on(pidFile, call(daemon, "fcntl", 5, unix.F_SETLK))), writesPID,
			on(pidFile, call(daemon, "close", 9))), service),
		[]string{"pidfile: close(d.pid, the lock is gone"}},
	"told too early": {join(forks, then(opens, locks, writesPID, tells, registers, hears, ended(original)), service),
		[]string{"ready: write(pipe, before mq_notify"}},
	"returns too early": {join(forks, then(opens, locks, writesPID, ended(original), registers), service),
		[]string{"ready: exit(0), before the daemon is registered"}},
	"registers with a signal": {join(forks, then(opens, locks, writesPID, value(0, registers), tells, hears,
		ended(original)), service), []string{"notify: mq_notify(SIGEV_SIGNAL), not SIGEV_THREAD"}},
	"drains first": {join(start(), then(asks, notified, takes, findsNone, registers)),
		[]string{"rearm: mq_notify(SIGEV_THREAD), emptied before"}},
	"takes one": {join(start(), then(asks, notified, registers, takes)),
		[]string{"rearm: mq_notify(SIGEV_THREAD), is not emptied"}},
	"never registers again": {join(start(), then(asks, notified, takes, findsNone)),
		[]string{"rearm: read(netlink), no other follows"}},
	"leaves a request": {join(start(), service, then(event.Event{Kind: event.Client, Path: "no answer", Unserved: true})),
		[]string{"rearm: no answer, left unserved"}},
	"waits in the queue at the end": {join(start(), then(asks, notified, registers, takes, interrupted(findsNone))), nil},
	"is interrupted on the way": {join(forks, then(opens, interrupted(locks), locks, writesPID, interrupted(registers),
		registers, tells, hears, ended(original)), service), nil},
	"serves by a child": {join(start(), service, then(born(daemon, 103))),
		[]string{"threads: fork() = 103, a child process"}},
}

func TestMarks(t *testing.T) {
	for name, want := range marks {
		t.Run(name, func(t *testing.T) {
			story := birth.Read(record(want.events))
			var got []birth.Row
			for _, row := range story.Rows {
				if row.Marks != nil {
					got = append(got, row)
				}
			}
			if len(got) != len(want.marks) {
				t.Fatalf("marked are %v, not %q", got, want.marks)
			}
			for i, row := range got {
				id, rest, _ := strings.Cut(want.marks[i], ": ")
				call, text, _ := strings.Cut(rest, ", ")
				if m := row.Marks[0]; m.ID != id || !strings.HasPrefix(row.Text, call) || !strings.Contains(m.Text, text) {
					t.Errorf("row %q has the mark %v, not %q", row.Text, m, want.marks[i])
				}
			}
			if !slices.IsSortedFunc(story.Rows, func(a, b birth.Row) int { return cmp.Compare(a.At, b.At) }) {
				t.Errorf("the rows are not in the order of time: %v", story.Rows)
			}
			if story.OK() != (want.marks == nil) && !strings.HasPrefix(want.marks[0], "threads") {
				t.Errorf("the story as a whole is %v", story.OK())
			}
		})
	}
}

// TestSessions has starts that fork in other ways.
func TestSessions(t *testing.T) {
	executed := forks[0]
	setsid := func(pid int) event.Event { return gives(int64(pid), call(pid, "setsid")) }
	rest := then(opens, locks, writesPID, registers, tells, hears, ended(original), asks, notified, registers, takes, findsNone)
	for name, want := range map[string]struct {
		forks   []event.Event
		session int
		text    string
	}{
		"none at all": {then(executed, born(original, middle), born(middle, daemon), ended(middle)), 50, "no setsid"},
		"in the daemon": {then(executed, born(original, middle), born(middle, daemon), ended(middle), setsid(daemon)), daemon,
			"no second fork"},
		"one fork": {then(executed, born(original, daemon), setsid(daemon)), daemon, "no second fork"},
		"in the original": {then(executed, gives(-int64(unix.EPERM), call(original, "setsid")), born(original, middle),
			born(middle, daemon), ended(middle)), 50, "EPERM: the original leads its process group"},
		"a process group": {then(executed, born(original, middle), call(middle, "setpgid"), born(middle, daemon),
			ended(middle)), 50, "setsid is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(join(want.forks, rest))
			after := r.After[daemon]
			after.Stat.Session = want.session
			r.After[daemon] = after
			v := birth.Read(r).Verdict("session")
			if v.OK || !strings.Contains(v.Text, want.text) {
				t.Errorf("the verdict is %v, %q, not %q", v.OK, v.Text, want.text)
			}
		})
	}
}

// TestWhatIsMissing changes one fact about the daemon.
func TestWhatIsMissing(t *testing.T) {
	for id, change := range map[string]func(before, after *event.Facts){
		"fds":     func(before, after *event.Facts) { after.Descriptors = before.Descriptors },
		"signals": func(before, after *event.Facts) { before.Status.SigIgn, after.Status.SigIgn = 1, 1 },
		"sigmask": func(_, after *event.Facts) { after.Status.SigBlk = 1 },
		"env":     func(_, after *event.Facts) { after.Env = []string{"PATH=/bin", "PATHS=/tmp"} },
		"session": func(_, after *event.Facts) { after.Stat.TTY = 1 },
		"stdio":   func(_, after *event.Facts) { after.Descriptors = after.Descriptors[:2] },
		"umask":   func(_, after *event.Facts) { after.Status.Umask = 0o22 },
		"cwd":     func(_, after *event.Facts) { after.Cwd = "/root" },
		"privileges": func(before, after *event.Facts) {
			before.Status.Uid = procfs.IDs{}
			after.Tasks = append(after.Tasks, procfs.Status{})
		},
	} {
		t.Run(id, func(t *testing.T) {
			r := record(join(start(), then(asks, notified, registers, takes, findsNone)))
			after := r.After[daemon]
			change(&r.Before, &after)
			r.After[daemon] = after
			story := birth.Read(r)
			for _, v := range story.Verdicts {
				if v.OK == (v.ID == id) {
					t.Errorf("the verdict on %s is %v: %s", v.ID, v.OK, v.Text)
				}
			}
			for _, row := range story.Rows {
				if row.Marks != nil && (row.PID != daemon || row.ID != id || row.Phase != birth.Birth) {
					t.Errorf("the mark %v is at the wrong place", row.Marks)
				}
			}
		})
	}
}

// TestNoise has what a runtime does by the way.
func TestNoise(t *testing.T) {
	var events []event.Event
	for sig := uint64(1); sig <= 64; sig++ {
		events = append(events, value(0xabc, call(original, "sigaction", sig, 1)))
	}
	for range 100 {
		events = append(events, call(original, "close", 3), value(^uint64(0), call(original, "sigprocmask", 2, 1)))
	}
	r := record(join(forks[:1], events))
	if rows := birth.Read(r).Rows; len(rows) != 2+1 { // and the mark that the original does not return
		t.Errorf("%d rows: %v", len(rows), rows)
	}
}

func TestEndless(t *testing.T) {
	var events []event.Event
	for i := range 2000 {
		events = append(events, born(original, 1000+i), ended(1000+i))
	}
	story := birth.Read(record(join(forks[:1], events)))
	if len(story.Rows) > 500 || story.LeftOut < 3000 {
		t.Errorf("%d rows, %d left out", len(story.Rows), story.LeftOut)
	}
}
