package birth_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/procfs"
	"daemonlab/lab/wire"
	"daemonlab/specs/facts"
	"daemonlab/specs/finding"
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

// call is a system call that succeeded.
func call(pid int, name string, args ...uint64) event.Event {
	e := event.Event{Kind: event.Call, PID: pid, TID: pid, Name: name}
	copy(e.Args[:], args)
	return e
}

func on(file string, e event.Event) event.Event {
	e.File = file
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
	opens = event.Event{Kind: event.Call, PID: daemon, TID: daemon, Name: "open", Path: "d.pid", File: pidFile, Value: rdwr,
		Result: 5}
	renames   = event.Event{Kind: event.Call, PID: daemon, TID: daemon, Name: "rename", File: other, To: pidFile}
	locks     = on(pidFile, call(daemon, "flock", 5, unix.LOCK_EX|unix.LOCK_NB))
	writesPID = writes("102\n", on(pidFile, call(daemon, "write", 5)))
	truncates = on(pidFile, call(daemon, "ftruncate", 5, 4))
	registers = value(2, on(queue, call(daemon, "mq_notify", 6, 1)))
	tells     = writes("ready", on(pipe, call(daemon, "write", 4)))
	hears     = writes("ready", on(pipe, call(original, "read", 3)))
	asks      = event.Event{Kind: event.Client, Name: "mq_send", Did: finding.Say("a request")}
	notified  = writes(strings.Repeat("\x00", 31)+"\x01", on("socket:[8]", call(daemon, "read", 7)))
	takes     = gives(20, on(queue, call(daemon, "mq_receive", 6)))
	findsNone = gives(-int64(unix.EAGAIN), on(queue, call(daemon, "mq_receive", 6)))
)

// forks is how a correct daemon is created.
var forks = []event.Event{
	{Kind: event.Executed, PID: original, TID: original, Path: "/bin/d"},
	born(original, middle), setsid(middle), born(middle, daemon), ended(middle),
}

// start is a complete correct start, optionally with other opens of the PID file.
func start(pidFile ...event.Event) []event.Event {
	if pidFile == nil {
		pidFile = []event.Event{opens, locks, writesPID, truncates}
	}
	return join(forks, pidFile, []event.Event{registers, tells, hears, ended(original)})
}

// forked is a start that is correct from the fork of the daemon on, and its service.
func forked(events ...event.Event) []event.Event {
	return join(forks[:1], events, start()[len(forks):], service)
}

func setsid(pid int) event.Event { return gives(int64(pid), call(pid, "setsid")) }

// change alters the facts of the original at its start, or of the daemon.
func change(facts func(before, after *facts.Facts)) func(r *event.Record) {
	return func(r *event.Record) {
		after := r.After[daemon]
		facts(&r.Before, &after)
		r.After[daemon] = after
	}
}

// session puts the daemon in a session other than the middle process's.
func session(id int) func(r *event.Record) {
	return change(func(_, after *facts.Facts) { after.Stat.Session = id })
}

func join(parts ...[]event.Event) (all []event.Event) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func then(events ...event.Event) []event.Event { return events }

// record times the events and sets the state to that of a correct daemon.
func record(events []event.Event) *event.Record {
	r := &event.Record{Command: []string{"d"}, Lab: true}
	for i, e := range events {
		e.At = time.Duration(i+1) * time.Millisecond
		if e.Kind == event.Call {
			e.Began = e.At
		}
		r.Events = append(r.Events, &e)
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
	r.After = map[int]facts.Facts{daemon: {
		Stat: procfs.Stat{Pid: daemon, PPid: 1, Session: middle}, Status: user, Tasks: []procfs.Status{user}, Cwd: "/",
		Descriptors: r.Before.Descriptors[:3], Env: procfs.Environment{Live: true},
	}}
	r.ArmedAt, r.Mode, r.Armed = queue, wire.QueueMode, mq.Status{Notify: mq.SigevThread, NotifyPID: daemon}
	r.FindPIDFiles()
	for _, f := range r.PIDFiles {
		f.PIDFile = facts.PIDFile{Content: "102\n", Mode: 0o644, Locked: true}
	}
	return r
}

var service = then(asks, notified, registers, takes, findsNone)

const noLock = "instance: , no lock"

var (
	posix   = value(unix.F_WRLCK, on(pidFile, call(daemon, "fcntl", 5, unix.F_SETLK)))
	ofd     = value(unix.F_WRLCK, on(pidFile, call(daemon, "fcntl", 5, unix.F_OFD_SETLK)))
	closes  = on(pidFile, call(daemon, "close", 5))
	another = on(pidFile, call(daemon, "close", 9))
	removes = on(pidFile, call(daemon, "unlink"))
	other   = "/run/d.new"
	killed  = gives(int64(unix.SIGTERM), ended(daemon))
	told    = func(sig unix.Signal) event.Event { return gives(int64(sig), event.Event{Kind: event.Told}) }
	refused = then(told(unix.SIGTERM), told(unix.SIGKILL), gives(int64(unix.SIGKILL), ended(daemon)))
)

func unlocked(r *event.Record) { r.PIDFiles[0].Locked = false }
func holds(text string) func(r *event.Record) {
	return func(r *event.Record) { r.PIDFiles[0].Content = text }
}

// marks tests what is marked in a story. What the state does not show to be wrong is right, whatever calls led to it.
var marks = map[string]struct {
	events []event.Event         // nil: a correct start and service
	state  func(r *event.Record) // nil: as a correct daemon's
	marks  []string              // "id: beginning of the row, part of the text"
}{
	"all is right":                 {},
	"drained, registered, drained": {join(start(), then(asks, notified, takes, findsNone, registers, findsNone)), nil, nil},
	"written before the lock": {join(start(opens, writesPID, locks), service), nil,
		[]string{"instance: write(d.pid, before the lock"}},
	"truncated before the lock": {join(start(opens, truncates, locks, writesPID), service), nil,
		[]string{"instance: ftruncate(d.pid, before the lock"}},
	"opened with O_TRUNC": {join(start(value(rdwr|unix.O_TRUNC, opens), locks, writesPID), service), nil,
		[]string{"instance: open(d.pid, O_TRUNC"}},
	"first by O_EXCL": {join(start(value(rdwr|unix.O_TRUNC|unix.O_EXCL, opens), writesPID, locks), service), nil, nil},
	"removed before O_EXCL": {join(start(removes, value(rdwr|unix.O_EXCL, opens), locks, writesPID), service), nil,
		[]string{"instance: unlink(d.pid, removed before the lock"}},
	"follows links": {join(start(value(unix.O_RDWR|unix.O_CREAT, opens), locks, writesPID), service), nil,
		[]string{"pidfile: open(d.pid, symbolic link"}},
	"looks whether it is a link": {join(start(on(pidFile, call(daemon, "lstat")), value(unix.O_RDWR|unix.O_CREAT, opens), locks,
		writesPID), service), nil, nil},
	"waits for the lock": {join(start(opens, on(pidFile, call(daemon, "flock", 5, unix.LOCK_EX)), writesPID), service), nil,
		[]string{"instance: flock(d.pid, would hang"}},
	"names the original": {join(start(opens, locks, writes("100\n", writesPID)), service), holds("100\n"),
		[]string{"pidfile: write(d.pid, 100 is the original; the daemon is 102"}},
	"names the original at first": {join(start(opens, locks, writes("100\n", writesPID), writesPID), service), nil, nil},
	"writes no newline": {join(start(opens, locks, writes("102", writesPID)), service), holds("102"),
		[]string{`pidfile: write(d.pid, "102\n"`}},
	"strict mode": {join(start(opens, locks, writesPID), service), func(r *event.Record) { r.PIDFiles[0].Mode = 0o600 },
		[]string{"pidfile: open(d.pid, mode 0600"}},
	"renames a file to it": {join(start(on(other, opens), on(other, locks), on(other, writesPID),
		renames), service), nil, nil},
	"removes a link": {join(start(gives(-int64(unix.ENOENT), removes), value(unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, opens), locks,
		writesPID), service), nil, nil},
	"locks for a moment": {join(start(opens, on(pidFile, call(daemon, "flock", 5, unix.LOCK_EX)), writesPID,
		on(pidFile, call(daemon, "flock", 5, unix.LOCK_UN))), service), unlocked, []string{"pidfile: flock(d.pid, released", noLock}},
	"umask of a parent after the fork": {join(start(call(daemon, "umask", 0o77), call(middle, "umask", 0), opens, locks, writesPID), service),
		change(func(_, after *facts.Facts) { after.Status.Umask = 0o77 }),
		[]string{"umask: umask(077), is 077"}},
	"locks nothing": {join(start(value(rdwr|unix.O_TRUNC, opens), writesPID), service), unlocked,
		[]string{"pidfile: write(d.pid, not locked", noLock}},
	"closes the lock": {join(start(opens, locks, writesPID, closes), service), unlocked,
		[]string{"pidfile: close(d.pid, the last descriptor", noLock}},
	"closes another descriptor under fcntl": {join(start(opens, posix, writesPID, another), service), unlocked,
		[]string{"pidfile: close(d.pid, releases a fcntl(2) lock", noLock}},
	"closes the lock of the open file": {join(start(opens, ofd, writesPID, closes), service), unlocked,
		[]string{"pidfile: close(d.pid, the last descriptor", noLock}},
	"locks in the middle process by fcntl": {
		join(start(opens, func() event.Event { e := posix; e.PID, e.TID = middle, middle; return e }(), writesPID), service), unlocked,
		[]string{"pidfile: fcntl(d.pid, no child inherits it", noLock}},
	"umask put right": {join(start(call(daemon, "umask", 0o22), call(daemon, "umask", 0), opens, locks, writesPID), service), nil, nil},
	"told too early": {join(forks, then(opens, locks, writesPID, tells, registers, hears, ended(original)), service), nil,
		[]string{"ready: write(pipe, is done: mq_notify"}},
	"told before umask": {join(forks, then(opens, locks, writesPID, registers, tells, call(daemon, "umask", 0), hears, ended(original)),
		service), nil, []string{"ready: write(pipe, is done: umask(000)"}},
	"returns too early": {join(forks, then(opens, locks, writesPID, ended(original), registers), service), nil,
		[]string{"ready: exit(0), is done: mq_notify"}},
	"returns before setsid": {join(forks[:2], then(ended(original)), forks[2:], then(opens, locks, writesPID, registers), service), nil,
		[]string{"ready: exit(0), is done: setsid() = 101"}},
	"returns before the second fork": {join(forks[:3], then(ended(original)), forks[3:], then(opens, locks, writesPID, registers), service),
		nil, []string{"ready: exit(0), is done: fork() = 102"}},
	"closes when it has told": {join(start(), then(call(daemon, "close_range", 3, 7), another), service), nil, nil},
	"dies when the original has returned": {join(start(), then(gives(int64(unix.SIGABRT), ended(daemon)))),
		func(r *event.Record) { r.After = nil }, []string{"ready: killed by SIGABRT, no process is left"}},
	"registers with a signal": {join(forks, then(opens, locks, writesPID, value(0, registers), tells, hears,
		ended(original)), service), func(r *event.Record) { r.Armed.Notify = mq.SigevSignal },
		[]string{"notify: mq_notify(SIGEV_SIGNAL), not SIGEV_THREAD"}},
	"drains first": {join(start(), then(asks, notified, takes, findsNone, registers)), nil,
		[]string{"rearm: mq_notify(SIGEV_THREAD), drained before"}},
	"takes one": {join(start(), then(asks, notified, registers, takes)), nil,
		[]string{"rearm: mq_notify(SIGEV_THREAD), is not drained"}},
	"never registers again": {join(start(), then(asks, notified, takes, findsNone)), nil,
		[]string{"rearm: read(netlink), no other follows"}},
	"leaves a request": {join(start(), service, then(asks, event.Event{Kind: event.Client, Did: finding.Say("no answer"), Unserved: true})), nil,
		[]string{"rearm: no answer, left unserved"}},
	"answers nothing": {join(start(), service, then(event.Event{Kind: event.Client, Did: finding.Say("no answer"), Unserved: true})), nil,
		[]string{"protocol: no answer, never ends"}},
	"waits in the queue at the end": {join(start(), then(asks, notified, registers, takes, interrupted(findsNone))), nil, nil},
	"is interrupted on the way": {join(forks, then(opens, interrupted(locks), locks, writesPID, interrupted(registers),
		registers, tells, hears, ended(original)), service), nil, nil},
	"serves by a child": {join(start(), service, then(born(daemon, 103))), nil,
		[]string{"threads: fork() = 103, a child process"}},
	"loses the lock in its service": {nil, func(r *event.Record) { r.Lost = true },
		[]string{"pidfile: , no longer locked"}},
	"strict queue": {nil, func(r *event.Record) { r.Mode = 0o600 }, []string{"ready: , mode 0600"}},
	"leaves its PID file": {nil, func(r *event.Record) { r.Left = []string{pidFile} },
		[]string{"sigterm: , leaves this: /run/d.pid"}},
	"calls no setsid": {forked(born(original, middle), born(middle, daemon), ended(middle)), session(50),
		[]string{"session: , no setsid"}},
	"calls setsid in the daemon": {forked(born(original, middle), born(middle, daemon), ended(middle), setsid(daemon)), session(daemon),
		[]string{"session: setsid(), no second fork"}},
	"forks once": {forked(born(original, daemon), setsid(daemon)), session(daemon), []string{"session: setsid(), no second fork"}},
	"calls setsid in the original": {forked(gives(-int64(unix.EPERM), call(original, "setsid")), born(original, middle),
		born(middle, daemon), ended(middle)), session(50), []string{"session: setsid(), setsid fails with EPERM"}},
	"makes a process group": {forked(born(original, middle), call(middle, "setpgid"), born(middle, daemon), ended(middle)), session(50),
		[]string{"session: setpgid(0, setsid is missing"}},
	"has no handler for SIGTERM": {join(start(), service, then(killed)), nil, []string{"sigterm: , no handler"}},
	"ends by SIGTERM when its handler has done its work": {join(start(), service, then(killed)),
		change(func(_, after *facts.Facts) { after.Status.SigCgt = procfs.NewSignalSet(unix.SIGTERM) }), nil},
	"keeps descriptors": {nil, change(func(before, after *facts.Facts) { after.Descriptors = before.Descriptors }),
		[]string{"fds: , still open: 7, 300"}},
	"ignores a signal": {nil,
		change(func(before, after *facts.Facts) { before.Status.SigIgn, after.Status.SigIgn = 1, 1 }), []string{"signals: , HUP"}},
	"blocks a signal": {nil, change(func(_, after *facts.Facts) { after.Status.SigBlk = 1 }),
		[]string{"sigmask: , HUP"}},
	"keeps a variable": {nil,
		change(func(_, after *facts.Facts) { after.Env.Vars = []string{"PATH=/bin", "PATHS=/tmp"} }), []string{"env: , PATHS"}},
	"has a terminal": {nil, change(func(_, after *facts.Facts) { after.Stat.TTY = 1 }),
		[]string{"session: , controlling terminal"}},
	"has no stderr": {nil, change(func(_, after *facts.Facts) { after.Descriptors = after.Descriptors[:2] }),
		[]string{"stdio: , 2 is closed"}},
	"keeps the umask": {nil, change(func(_, after *facts.Facts) { after.Status.Umask = 0o22 }),
		[]string{"umask: , 022"}},
	"keeps the directory": {nil, change(func(_, after *facts.Facts) { after.Cwd = "/root" }), []string{"cwd: , /root"}},
	"keeps a thread with root's privileges": {nil, change(func(before, after *facts.Facts) {
		before.Status.Uid = procfs.IDs{}
		after.Tasks = append(after.Tasks, procfs.Status{})
	}), []string{"privileges: , is root"}},
	"refuses SIGTERM": {join(start(), service, refused), func(r *event.Record) { r.Refuses.Pid = daemon },
		[]string{"sigterm: , after SIGTERM; the trace"}},
	"ignores SIGTERM": {join(start(), service, refused), func(r *event.Record) {
		r.Refuses = procfs.Status{Pid: daemon, SigIgn: procfs.NewSignalSet(unix.SIGTERM)}
	}, []string{"sigterm: , which it ignores"}},
	"blocks SIGTERM": {join(start(), service, refused), func(r *event.Record) {
		r.Refuses = procfs.Status{Pid: daemon, ShdPnd: procfs.NewSignalSet(unix.SIGTERM)}
	}, []string{"sigterm: , which all its threads block"}},
}

func TestMarks(t *testing.T) {
	for name, want := range marks {
		t.Run(name, func(t *testing.T) {
			if want.events == nil {
				want.events = join(start(), service)
			}
			r := record(want.events)
			if want.state != nil {
				want.state(r)
			}
			story := birth.Read(r)
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
				if m := row.Marks[0]; m.ID != id || !strings.HasPrefix(row.Text.EN, call) || !strings.Contains(m.Text.EN, text) {
					t.Errorf("row %q has the mark %v, not %q", row.Text.EN, m, want.marks[i])
				}
				atEnd := id == "sigterm"
				if call == "" && (row.PID != daemon || row.ID != id || (row.Phase == birth.Birth) == atEnd) {
					t.Errorf("the mark %v is at the wrong place: %v", row.Marks, row)
				}
			}
			for _, v := range story.Verdicts {
				marked := slices.ContainsFunc(want.marks, func(mark string) bool { return strings.HasPrefix(mark, v.ID+":") })
				if v.OK == marked {
					t.Errorf("the verdict on %s is %v: %s", v.ID, v.OK, v.Text)
				}
			}
			if story.Rows[0].PID != original {
				t.Errorf("the story begins with %v", story.Rows[0])
			}
			if !slices.IsSortedFunc(story.Rows, func(a, b birth.Row) int { return cmp.Compare(a.At, b.At) }) {
				t.Errorf("the rows are not in the order of time: %v", story.Rows)
			}
			if story.OK() != (want.marks == nil) {
				t.Errorf("the story as a whole is %v", story.OK())
			}
		})
	}
}

// TestWhoIsTheDaemon traces starts of programs that use no queue.
func TestWhoIsTheDaemon(t *testing.T) {
	executed := forks[0]
	const worker = 103
	lives := func(parent int) facts.Facts { return facts.Facts{Stat: procfs.Stat{Pid: 1, PPid: parent}} }
	for name, want := range map[string]struct {
		events []event.Event
		after  map[int]facts.Facts
		daemon int
	}{
		"a master with workers": {then(executed, born(original, daemon), ended(original), writesPID, born(daemon, worker)),
			map[int]facts.Facts{daemon: lives(1), worker: lives(daemon)}, daemon},
		"without a PID file": {then(executed, born(original, daemon), ended(original), born(daemon, worker)),
			map[int]facts.Facts{daemon: lives(1), worker: lives(daemon)}, daemon},
		"a supervisor that names its child": {then(executed, born(original, daemon), ended(original), born(daemon, worker),
			writes("103\n", writesPID)), map[int]facts.Facts{daemon: lives(1), worker: lives(daemon)}, worker},
		"one that stays": {then(executed, born(original, worker)), map[int]facts.Facts{original: lives(1), worker: lives(original)}, original},
		"none":           {then(executed, ended(original)), nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(want.events)
			r.After, r.Lab = want.after, false
			wrote := r.FindLast(func(e *event.Event) bool { _, ok := e.WrittenPID(); return ok })
			for _, f := range r.PIDFiles {
				f.Content = string(wrote.Data)
			}
			if got := r.Daemon(); got != want.daemon {
				t.Errorf("the daemon is %d, not %d", got, want.daemon)
			}
			for _, v := range birth.Read(r).Verdicts {
				if v.ID == "orphan" && v.OK && want.daemon == original {
					t.Errorf("the original itself is said to be an orphan: %s", v.Text)
				}
			}
		})
	}
}

// TestRows looks for rows: who, what, and under which id.
func TestRows(t *testing.T) {
	const other = 103
	null := func(fd uint64) event.Event { return on("/dev/null", call(daemon, "dup2", 5, fd)) }
	adopted := event.Event{Kind: event.Adopted, PID: daemon, TID: daemon, Result: 1}
	dies := func(pid int) event.Event { return gives(int64(unix.SIGKILL), ended(pid)) }
	gone := func(r *event.Record) { r.After = nil }
	for name, want := range map[string]struct {
		events []event.Event
		state  func(r *event.Record)
		rows   []string
	}{
		// Adoption can fall between any two calls: it comes when the parent ends.
		"an adoption splits no row": {join(forks, then(null(0), null(1), adopted, null(2))), nil,
			[]string{"daemon dup2(/dev/null, 0, 1, 2) stdio"}},
		"a fork of the daemon is no step": {join(start(), then(born(daemon, other), ended(other)), service), nil,
			[]string{"middle fork() = 102 session", "daemon fork() = 103 ", "daemon's child exit(0) "}},
		"a fork in the service": {join(start(), service, then(born(daemon, other), born(other, 104))), nil,
			[]string{"daemon fork() = 103 threads", "daemon's child fork() = 104 "}},
		"what the tracer kills": {join(start(), service, then(dies(daemon), told(unix.SIGKILL), dies(middle))), nil,
			[]string{"daemon killed by SIGKILL ", "middle killed by this trace "}},
		"the last of them": {join(forks, then(dies(daemon))), gone, []string{"middle exit(0) orphan", "last killed by SIGKILL "}},
		"two in the middle": {then(forks[0], born(original, middle), born(middle, other), ended(middle), born(other, daemon), ended(other)), nil,
			[]string{"middle 1 exit(0) orphan", "middle 2 exit(0) orphan"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(want.events)
			if want.state != nil {
				want.state(r)
			}
			story := birth.Read(r)
			var rows []string
			for _, row := range story.Rows {
				rows = append(rows, story.Role(row.PID).EN+" "+row.Text.EN+" "+row.ID)
			}
			for _, row := range want.rows {
				if !slices.Contains(rows, row) {
					t.Errorf("no row %q in\n%s", row, strings.Join(rows, "\n"))
				}
			}
		})
	}
}

// TestNoise has calls that only a runtime makes.
func TestNoise(t *testing.T) {
	var events []event.Event
	for sig := uint64(1); sig <= 64; sig++ {
		events = append(events, value(0xabc, call(original, "sigaction", sig, 1)))
	}
	for range 100 {
		events = append(events, call(original, "close", 3), value(^uint64(0), call(original, "sigprocmask", 2, 1)))
	}
	r := record(join(forks[:1], events))
	if rows := birth.Read(r).Rows; len(rows) != 2+1 { // the third marks that the original does not return
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
