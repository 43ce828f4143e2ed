package specs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/procfs"
	"daemonlab/lab/wire"
	"daemonlab/specs/facts"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

var _ = Row("pidfile", func(r row) {
	It("holds the daemon's PID and a newline, mode 0644", func(ctx SpecContext) {
		s := r.start(ctx)
		file := r.mustHoldPID(s, startedHostile)
		r.must(file.Mode == facts.PIDFileMode, startedHostile, say("mode 0644"),
			say("%s has mode %#o", s.PIDFile, file.Mode),
			say("the file is created before umask(0), or open(2) is given another mode"))
	})
	It("may be there already, stale and longer than the new one", func(ctx SpecContext) {
		p := place()
		Expect(os.WriteFile(p.PIDFile, []byte("999999999\nand more\n"), 0o600)).To(Succeed())
		s := r.startAt(ctx, p, harness.Hostile())
		r.mustHoldPID(s, say("left an unlocked PID file with a PID that no process has"))
	})
	It("may be there already, empty", func(ctx SpecContext) {
		p := place()
		Expect(os.WriteFile(p.PIDFile, nil, 0o644)).To(Succeed())
		s := r.startAt(ctx, p, harness.Hostile())
		r.mustHoldPID(s, say("left an empty PID file, as a server that may not unlink it does"))
	})
	It("may be there already, stale, with the PID of another program", func(ctx SpecContext) {
		p := place()
		Expect(os.WriteFile(p.PIDFile, fmt.Appendln(nil, os.Getpid()), 0o644)).To(Succeed())
		start, err := programs.Run(ctx, harness.Hostile(), programs.Server, p.Args()...)
		unlessSuite(err)
		r.must(err == nil && start.Exit == 0,
			say("left an unlocked PID file with a PID that has been reused: %d, the suite's own", os.Getpid()),
			say("the start succeeds: only a lock shows that a server is running"),
			say("exit status %d, stderr: %q, error: %v", start.Exit, start.Stderr, err),
			say("kill(pid, 0) shows that some process has that PID, not that it is a server"))
	})
	It("is locked from the start, and still after requests and SIGHUP", func(ctx SpecContext) {
		s := r.start(ctx)
		r.mustStayLocked(s, say("started it"))
		c := client(harness.Small)
		c.Fetch(ctx, s.Queue, "missing")
		Expect(s.WriteFile("still", []byte("x"))).To(Succeed())
		c.Fetch(ctx, s.Queue, "still")
		r.mustStayLocked(s, say("asked for two files"))
		harness.SendRaw(ctx, s.Queue, []byte("no request"))
		if r.reopens(ctx, s) {
			c.Fetch(ctx, s.Queue, "still")
			r.mustStayLocked(s, say("sent it SIGHUP"))
		}
	})
	It("is locked for as long as SIGTERM lets a transfer finish, too", func(ctx SpecContext) {
		s := r.start(ctx)
		Expect(s.WriteFile("large", large)).To(Succeed())
		c := client(harness.Shape{Depth: 2, MsgSize: 4096})
		if c.Request(ctx, s.Queue, "large") != nil || !within(ctx, harness.Slack, c.IsFull) {
			return // it is step 10's
		}
		s.Signal(unix.SIGTERM)
		unlocked := func() bool {
			file, err := facts.ReadPIDFile(s.PIDFile)
			return err == nil && file.Names(s.PID) && !file.Locked && s.Alive()
		}
		delivered(ctx, s, unix.SIGTERM)
		eventually(ctx, s.Sleeps)
		// One that unlocks the file and then removes it is about to.
		if unlocked() && !within(ctx, harness.Slack, func() bool { return !unlocked() }) {
			r.mustStayLocked(s, say("sent SIGTERM in mid-transfer"))
		}
	})
	It("is where the contract says if no flag does", func(ctx SpecContext) {
		p, setting := place(), harness.Hostile()
		did := say("started it without --pidfile, with XDG_RUNTIME_DIR")
		if os.Geteuid() == 0 {
			did = say("started it as root without --pidfile, with a directory of its own at /run")
			p.PIDFile = "/run/mqfiled.pid"
			ownRun(p)
		}
		setting.Orders = []string{"--env", "XDG_RUNTIME_DIR=" + filepath.Join(p.Dir, "run")}
		s := r.startBy(ctx, p, setting, "--root", p.Root, "--queue", p.Queue, "--log", p.Log)
		r.mustHoldPID(s, did)
	})
	It("is refused if it is a symbolic link", func(ctx SpecContext) {
		p := place()
		victim := filepath.Join(p.Dir, "victim")
		Expect(os.WriteFile(victim, []byte("precious\n"), 0o644)).To(Succeed())
		Expect(os.Symlink(victim, p.PIDFile)).To(Succeed())
		start := r.run(ctx, p.Args()...)
		content := must(os.ReadFile(victim))
		r.must(start.Exit != 0 && string(content) == "precious\n",
			say("put a symbolic link to another file where the PID file goes"),
			say("the start fails, the file is untouched"),
			say("exit status %d; the file holds %q", start.Exit, content))
		Expect(os.Remove(victim)).To(Succeed())
		start = r.run(ctx, p.Args()...)
		r.must(start.Exit != 0 && !exists(victim),
			say("put a symbolic link to a file that does not exist where the PID file goes"),
			say("the start fails, no file is made"),
			say("exit status %d; %s exists: %v", start.Exit, victim, exists(victim)),
			say("stat(2) and access(2) follow the link; lstat(2) and O_NOFOLLOW do not"))
	})
})

// ownRun mounts the place's directory over /run, which is the machine's, for this process and what it starts.
func ownRun(p harness.Place) {
	needNamespaces()
	Expect(unix.Mount(filepath.Join(p.Dir, "run"), "/run", "", unix.MS_BIND, "")).To(Succeed())
	DeferCleanup(func() { unix.Unmount("/run", unix.MNT_DETACH) })
}

// mustStayLocked is about a daemon that lives: whether a request or SIGHUP ends it is other rows'.
func (r row) mustStayLocked(s *harness.Server, did rubric.Text) {
	locked, err := facts.Locked(s.PIDFile)
	if !s.Alive() {
		return
	}
	r.must(err == nil && locked,
		say("%v, then tried to lock the PID file with flock(2) and fcntl(2)", did), say("one of them is refused"),
		say("%s: both locks are free while PID %d lives, error: %v", s.PIDFile, s.PID, err),
		say("the descriptor was closed; or a POSIX lock was taken before a fork, which does not pass it on, or was "+
			"lost when the process closed another descriptor of the file"))
}

// clear ends what has been started so far.
func (r row) clear() {
	err := harness.KillAdopted()
	server = nil
	r.must(err == nil, say("killed every process of the server"), say("none is left"), say("%v", err))
}

func (r row) mustHoldPID(s *harness.Server, did rubric.Text) facts.PIDFile {
	file, err := facts.ReadPIDFile(s.PIDFile)
	r.must(err == nil && file.Names(s.PID), did, say("%s holds %q", s.PIDFile, strconv.Itoa(s.PID)+"\n"),
		say("%.100q, error: %v", file.Content, err))
	return file
}

// run starts the server where no daemon is expected to stay.
func (r row) run(ctx context.Context, args ...string) harness.Start {
	start, err := programs.Run(ctx, harness.Hostile(), programs.Server, args...)
	unlessSuite(err)
	r.must(err == nil, say("started mqfiled %v", finding.Args(args)), say("the original process returns"),
		say("%v", err))
	return start
}

var _ = Row("instance", func(r row) {
	const servers = 8
	It("is the only one of "+strconv.Itoa(servers)+" started at the same instant", func(ctx SpecContext) {
		p := place()
		for range 4 {
			r.mustBeOne(ctx, p, servers)
			r.clear()
		}
	})
	It("is named by its own PID where an earlier server left another", func(ctx SpecContext) {
		for range 5 {
			if r.namesTheHolder(ctx, place()) {
				return
			}
		}
		heldUp(say("this machine holds up processes for seconds"))
	})
	It("is not disturbed by a second start", func(ctx SpecContext) {
		s := r.start(ctx)
		before, err := os.ReadFile(s.PIDFile)
		r.must(err == nil, startedHostile, say("there is a PID file"), say("%v", err))
		Expect(s.WriteFile("still", nil)).To(Succeed())
		_, notYet := fetchSoon(ctx, client(harness.Small), s, "still") // the queue is step 9's
		second := r.run(ctx, s.Args()...)
		after, err := os.ReadFile(s.PIDFile)
		r.must(second.Exit != 0 && strings.Contains(second.Stderr, strconv.Itoa(s.PID)),
			say("started it again while PID %d runs", s.PID),
			say("the second start returns non-zero and names the PID that runs"),
			say("exit status %d, stderr: %q", second.Exit, second.Stderr))
		r.must(err == nil && string(after) == string(before),
			say("started it again while PID %d runs", s.PID), say("the PID file stays as it is"),
			say("it held %q, now %q, error: %v", before, after, err),
			say("the second instance truncates or writes before it has the lock, or unlinks a file that is not its own"))
		if notYet == nil {
			r.mustServe(ctx, s, say("started it a second time"))
		}
	})
})

// namesTheHolder proves that a start names the one that has the lock and writes its PID only then. It reports whether this
// machine let the suite write it before a program may give up.
func (r row) namesTheHolder(ctx context.Context, p harness.Place) bool {
	const stale = 1<<31 - 1 // PIDs do not go so far, see proc(5), pid_max
	holder := must(harness.HoldPIDFile(p.PIDFile, stale))
	defer holder.Close()
	harness.HeldUp()
	ended := make(chan struct{})
	var second harness.Start
	var err error
	go func() {
		defer close(ended)
		second, err = programs.Run(ctx, harness.Hostile(), programs.Server, p.Args()...)
	}()
	holder.WaitForReader(ctx, ended)
	Expect(holder.Write(os.Getpid())).To(Succeed())
	<-ended
	unlessSuite(err)
	named := err == nil && second.Exit != 0 && strings.Contains(second.Stderr, strconv.Itoa(os.Getpid()))
	if !named && harness.HeldUp() > harness.Slack/5 {
		return false
	}
	r.must(named, say("locked a PID file that held %d, which is no process's PID; started a server, and once it had "+
		"the file open wrote %d, the lock holder's PID", stale, os.Getpid()),
		say("it returns non-zero and names PID %d", os.Getpid()),
		say("exit status %d, stderr: %q, error: %v", second.Exit, second.Stderr, err), unnamed)
	return true
}

// mustBeOne starts many servers at once on one PID file. Each has a queue of its own, so that only the lock decides.
func (r row) mustBeOne(ctx context.Context, p harness.Place, servers int) {
	starts, errs := make([]harness.Start, servers), make([]error, servers)
	var wg sync.WaitGroup
	queue := func(i int) string { return fmt.Sprintf("%s-%d", p.Queue, i) }
	for i := range starts {
		own := p
		own.Queue = queue(i)
		mq.Unlink(own.Queue) // of the round before
		DeferCleanup(func() { mq.Unlink(own.Queue) })
		wg.Go(func() {
			starts[i], errs[i] = programs.Run(ctx, harness.Setting{}, programs.Server, own.Args()...)
		})
	}
	wg.Wait()
	unlessSuite(errors.Join(errs...))
	living := must(harness.Adopted())
	var summary rubric.Text
	succeeded, serving, named := 0, 0, true
	for i, s := range starts {
		summary = finding.Same("%v\n%v", summary, say("exit status %d, stderr: %q", s.Exit, s.Stderr))
		if harness.QueueExists(queue(i)) {
			serving++ // what else of a start is left is the row `orphan`'s, and `failure`'s
		}
		if s.Exit == 0 {
			succeeded++
		} else {
			named = named && slices.ContainsFunc(living, func(p procfs.Stat) bool {
				return strings.Contains(s.Stderr, strconv.Itoa(p.Pid))
			})
		}
	}
	f := finding.Finding{
		Did:   say("started %d servers at the same instant on one PID file", servers),
		Wants: say("exactly one lives; the others return non-zero and name its PID"),
		Saw:   say("%d have a queue; live processes: %v%v", serving, pids(living), summary),
	}
	if err := errors.Join(errs...); errors.Is(err, harness.ErrHangs) {
		f.Saw, f.Do, f.Hangs = say("%v", errs[slices.IndexFunc(errs, func(err error) bool { return err != nil })]), whereItIs, true
		r.fail(f)
	}
	if serving == 0 { // the queue is step 9's
		serving = len(living)
	}
	if succeeded+len(living) == 0 {
		r.failBut(ctx, f, r.hiding()...) // perhaps no server starts at all
	}
	if succeeded != 1 || serving != 1 {
		r.fail(f)
	}
	if !named {
		if slices.ContainsFunc(starts, func(s harness.Start) bool { return strings.ContainsAny(s.Stderr, "0123456789") }) {
			f.Cause = unnamed
		}
		r.fail(f)
	}
}

var unnamed = say("whoever holds the lock may not have written its PID yet, and the file may still hold an earlier " +
	"server's: read it again until a process has that PID (kill(pid, 0)), or ask F_GETLK or /proc/locks who holds the lock")

func pids(stats []procfs.Stat) (list []int) {
	for _, s := range stats {
		list = append(list, s.Pid)
	}
	return list
}

var _ = Row("ready", func(r row) {
	It("serves at the instant that the start returns", func(ctx SpecContext) {
		for range 10 {
			s := r.start(ctx)
			status, _, err := harness.QueueStatus(s.Queue)
			if errors.Is(err, os.ErrNotExist) {
				r.hasQueue(ctx, s.Queue, say("waited for the original to return 0"))
			}
			r.must(err == nil && status.NotifyPID == s.PID,
				say("looked at the queue as soon as the original returned 0"), say("the daemon is registered"),
				say("%s: NOTIFY_PID:%d, the daemon is PID %d, error: %v", s.Queue, status.NotifyPID, s.PID, err))
			r.mustServe(ctx, s, say("waited for the original to return 0"))
			r.clear()
			s.Remove() // its queue counts against RLIMIT_MSGQUEUE as long as it has its name
		}
	})
	It("serves at /mqfiled if no flag names a queue", func(ctx SpecContext) {
		needNamespaces()
		p := place()
		p.Queue = wire.DefaultQueue
		s := r.startBy(ctx, p, harness.Hostile(), "--root", p.Root, "--pidfile", p.PIDFile, "--log", p.Log)
		r.must(harness.QueueExists(p.Queue), say("started it without --queue"), say("the request queue is %s", p.Queue),
			say("there is none"))
		r.mustServe(ctx, s, say("started it without --queue"))
	})
	It("has a request queue that anybody may send to", func(ctx SpecContext) {
		s := r.start(ctx)
		mode, err := harness.QueueMode(s.Queue)
		cause := say("0622: the owner receives, anybody sends; mq_open(3) or fchmod(2) was given another mode")
		if mode == wire.QueueMode&^0o077 { // the hostile setting's umask
			cause = say("mq_open(3) applies the umask to the mode: make the queue after umask(0), or fchmod(2) it")
		}
		r.must(err == nil && mode == wire.QueueMode,
			startedHostile, say("the request queue has mode 0622 whatever the starter's umask"),
			say("the request queue has mode %#o, error: %v", mode, err), cause)
		_, attr, err := harness.QueueStatus(s.Queue)
		limits := must(mq.SystemLimits())
		r.must(err == nil && attr.MsgSize == wire.RequestSize && attr.MaxMsg == min(10, limits.MsgMax),
			say("asked for the attributes of the request queue"), say("10 messages of 4356 bytes"),
			say("mq_maxmsg %d, mq_msgsize %d, error: %v", attr.MaxMsg, attr.MsgSize, err))
	})
	It("has a shallower one where the system allows no deeper one", func(ctx SpecContext) {
		needNamespaces()
		const few = 4
		restore, err := harness.SetLimit("msg_max", few)
		if err != nil {
			skip(say("msg_max cannot be set here: %v", err))
		}
		DeferCleanup(restore)
		s := r.start(ctx)
		did := say("started it where /proc/sys/fs/mqueue/msg_max is %d", few)
		r.hasQueue(ctx, s.Queue, did)
		_, attr, err := harness.QueueStatus(s.Queue)
		r.must(err == nil && attr.MaxMsg >= few && attr.MaxMsg <= 10, did,
			say("a queue of 10 messages, or of as many as the system allows"), say("mq_maxmsg %d, error: %v", attr.MaxMsg, err))
		r.mustServe(ctx, s, did)
	})
})

var _ = Row("failure", func(r row) {
	fails := func(ctx SpecContext, prepare func(p *harness.Place) []string) {
		p := place()
		more := prepare(&p)
		pidFileBefore := exists(p.PIDFile)
		queueBefore := harness.QueueExists(p.Queue)
		start := r.run(ctx, append(p.Args(), more...)...)
		r.mustHaveFailed(ctx, p, start, say("started mqfiled %v", finding.Args(start.Args)), pidFileBefore, queueBefore)
	}
	DescribeTable("says why and leaves nothing", fails,
		Entry("root does not exist", func(p *harness.Place) []string {
			return []string{"--root", filepath.Join(p.Dir, "nowhere")}
		}),
		Entry("root is a file", func(p *harness.Place) []string {
			Expect(p.WriteFile("file", nil)).To(Succeed())
			return []string{"--root", filepath.Join(p.Root, "file")}
		}),
		Entry("the PID file's directory does not exist", func(p *harness.Place) []string {
			p.PIDFile = filepath.Join(p.Dir, "nowhere", "pid")
			return nil
		}),
		Entry("the PID file is a directory", func(p *harness.Place) []string {
			Expect(os.Mkdir(p.PIDFile, 0o755)).To(Succeed())
			return nil
		}),
		Entry("the log's directory does not exist", func(p *harness.Place) []string {
			return []string{"--log", filepath.Join(p.Dir, "nowhere", "log")}
		}),
		Entry("the account does not exist", func(p *harness.Place) []string {
			if os.Geteuid() != 0 {
				skip(say("--user means something only to root"))
			}
			return []string{"--user", "nobody-of-that-name"}
		}),
	)
	It("says what is wrong, and not only that something is", func(ctx SpecContext) {
		p := place()
		nowhere := filepath.Join(p.Dir, "nowhere")
		root := r.run(ctx, append(p.Args(), "--root", nowhere)...)
		log := r.run(ctx, append(p.Args(), "--log", nowhere+"/log")...)
		r.must(root.Stderr != log.Stderr, say("started it with a root, then with a log, that cannot be opened"),
			say("each line says what is wrong and why"), say("both times %q", root.Stderr))
		Expect(os.MkdirAll(nowhere+"/log", 0o755)).To(Succeed())
		directory := r.run(ctx, append(p.Args(), "--log", nowhere+"/log")...)
		r.must(directory.Stderr != log.Stderr,
			say("started it with a log in a directory that does not exist, then with one that is a directory itself"),
			say("each line says what is wrong and why"), say("both times %q", log.Stderr),
			say("the reason is what errno says, see strerror(3)"))
	})
	It("cleans up after a daemon that is killed before it is ready", func(ctx SpecContext) {
		p := place()
		setting := harness.Hostile()
		setting.KillAtNotify = true
		start, err := programs.Run(ctx, setting, programs.Server, p.Args()...)
		unlessSuite(err)
		did := say("had the kernel kill the daemon when it called mq_notify(3)")
		r.must(err == nil, did, say("the original returns"),
			say("%v", err), say("the original keeps the write end of its own pipe open, so it never sees end of file"))
		left := must(harness.Adopted())
		if start.Exit == 0 && len(left) > 0 {
			return // it has not called mq_notify(3), or not yet, which is a fault of the rows `notify` and `ready`
		}
		r.mustHaveFailed(ctx, p, start, did, false, false)
	})
	It("keeps the queue that a killed daemon has left", func(ctx SpecContext) {
		s := r.start(ctx)
		s.Signal(unix.SIGKILL)
		must(s.WaitForEnd(ctx))
		if !harness.QueueExists(s.Queue) {
			return // it is step 9's
		}
		killed := harness.Hostile()
		killed.KillAtNotify = true
		for _, again := range []struct {
			did     rubric.Text
			setting harness.Setting
			flags   []string
		}{
			{say("killed the daemon with SIGKILL, and started it again with a root that does not exist"), harness.Hostile(),
				[]string{"--root", filepath.Join(s.Dir, "nowhere")}},
			{say("killed the daemon with SIGKILL, started it again, and had the kernel kill it when it calls mq_notify(3)"),
				killed, nil},
		} {
			programs.Run(ctx, again.setting, programs.Server, append(s.Args(), again.flags...)...)
			r.must(harness.QueueExists(s.Queue), again.did,
				say("the queue is still there, with the requests in it: this start did not make it"),
				say("queue %s does not exist", s.Queue),
				say("a failed start unlinks the queue, whoever made it: mq_open(3) with O_EXCL shows whether it was you"))
			r.clear()
		}
	})
	It("fails where another server uses the queue, and does not disturb it", func(ctx SpecContext) {
		s := r.start(ctx)
		if _, _, registered := registration(s); !registered {
			return // it is step 9's
		}
		p := place()
		p.Queue = s.Queue
		start := r.run(ctx, p.Args()...)
		did := say("started a second server, with its own PID file, on the queue of a running one")
		r.must(start.Exit != 0 && strings.HasPrefix(start.Stderr, "mqfiled: "), did,
			say("a non-zero exit status and the reason on stderr: only one process can be registered"),
			say("exit status %d, stderr: %q", start.Exit, start.Stderr),
			say("mq_notify(3) fails with EBUSY, and its return value is not checked"))
		_, status, registered := registration(s)
		r.must(registered, did, say("the running one still has its queue, and is registered"),
			say("queue %s exists: %v; NOTIFY_PID:%d, the daemon is PID %d", s.Queue, harness.QueueExists(s.Queue),
				status.NotifyPID, s.PID))
		r.mustServe(ctx, s, did)
	})
	It("explains wrong flags and returns 2", func(ctx SpecContext) {
		for _, wrong := range [][]string{{"--no-such-flag"}, {"--stall", "soon"}, {"--stall", "-1"}, {"--stall", "2x"}, {"--root"}} {
			p := place() // a program that takes them becomes a daemon there, and not on the machine's own queue
			start := r.run(ctx, append(p.Args(), wrong...)...)
			r.must(start.Exit == 2 && start.Stderr != "", say("started mqfiled %v", finding.Args(start.Args)),
				say("usage on stderr, exit status 2"), say("exit status %d, stderr: %q", start.Exit, start.Stderr))
		}
	})
	It("takes --flag value and --flag=value", func(ctx SpecContext) {
		for _, between := range []string{" ", "="} {
			p := place()
			flags := fmt.Sprintf("--root=%s --queue=%s --pidfile=%s --log=%s --user=nobody --stall=2", p.Root, p.Queue,
				p.PIDFile, p.Log)
			flags = strings.ReplaceAll(flags, "=", between)
			start := r.run(ctx, strings.Fields(flags)...)
			if start.Exit == 0 {
				r.hasQueue(ctx, p.Queue, say("started mqfiled %v", flags))
			}
			r.must(start.Exit == 0 && exists(p.PIDFile) && exists(p.Log) && harness.QueueExists(p.Queue),
				say("started mqfiled %v", flags), say("the start succeeds; queue, PID file and log exist"),
				say("exit status %d, stderr: %q", start.Exit, start.Stderr))
			r.clear()
		}
	})
	// Behind the spec that asks for a queue at all, which is step 9's.
	DescribeTable("says why and leaves nothing", fails,
		Entry("the queue's name has no slash", func(p *harness.Place) []string { return []string{"--queue", "mqfiled"} }),
		Entry("the queue's name has two slashes", func(p *harness.Place) []string { return []string{"--queue", "/a/b"} }),
		Entry("the queue's name is too long", func(p *harness.Place) []string {
			return []string{"--queue", "/" + strings.Repeat("q", 256)}
		}),
		Entry("the queue belongs to another account", func(p *harness.Place) []string {
			if os.Geteuid() != 0 {
				skip(say("only root can make a queue that belongs to another account"))
			}
			Expect(harness.MakeQueueOf(p.Queue, 1)).To(Succeed())
			return nil
		}),
	)
})

// mustHaveFailed gives the processes a moment to end: the last word of one, or the end of file when the kernel ends it,
// reaches the original while it is still about to go.
func (r row) mustHaveFailed(ctx context.Context, p harness.Place, start harness.Start, did rubric.Text, pidFileBefore, queueBefore bool) {
	line := strings.TrimSuffix(start.Stderr, "\n")
	r.must(start.Exit != 0 && strings.HasPrefix(line, "mqfiled: ") && !strings.Contains(line, "\n"),
		did, say("a non-zero exit status and one line on stderr that begins `mqfiled: ` and says why"),
		say("exit status %d, stderr: %q", start.Exit, start.Stderr))
	var left []procfs.Stat
	none := within(ctx, harness.Slack, func() bool {
		left = must(harness.Adopted())
		return len(left) == 0
	})
	r.must(none, did, say("no process is left"), say("PIDs %v", pids(left)))
	r.must(pidFileBefore || !exists(p.PIDFile), did, say("it leaves no PID file that it made"),
		say("%v exists", p.PIDFile))
	r.must(harness.QueueExists(p.Queue) == queueBefore,
		did, say("it leaves no queue that it made and removes no existing one"),
		say("queue %s: existed before: %v, exists now: %v", p.Queue, queueBefore, !queueBefore))
}

func exists(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil
}
