package specs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/lab/wire"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

var _ = Row("malformed", func(r row) {
	It("drops and logs what is not a request, and serves the next one", func(ctx SpecContext) {
		s := r.start(ctx)
		_, _, registered := registration(s)
		r.mustServe(ctx, s, say("started it"))
		reader := client(harness.Small)
		good := request(reader.ReplyName(), "still")
		// A server that answers into its own queue takes this content for a request, and answers that.
		Expect(s.WriteFile("request", good)).To(Succeed())
		toItself := request(s.Queue, "request")
		tiny := []*harness.Client{
			client(harness.Shape{Depth: 4, MsgSize: 128}), client(harness.Shape{Depth: 4, MsgSize: 255}),
		}
		for _, m := range []struct {
			what    rubric.Text
			message []byte
		}{
			{say("an empty message"), nil},
			{say("a message of one byte"), []byte{1}},
			{say("a request without a path"), good[:260]},
			{say("a request whose path is not terminated"), good[:len(good)-1]},
			{say("a request whose path is not terminated in 4096 bytes"), overlong(good, 'p')},
			{say("a request with bytes after the path's NUL"), overlong(good, 0)},
			{say("a request whose reply queue is not terminated"), withReply(good, "/"+strings.Repeat("r", 255))},
			{say("a reply queue without a slash"), withReply(good, "reply\x00")},
			{say("a reply queue with two slashes"), withReply(good, "/re/ply\x00")},
			{say("a reply queue without a name"), withReply(good, "\x00")},
			{say("a reply queue that does not exist"), withReply(good, "/no-such-queue\x00")},
			{say("the request queue as reply queue"), withReply(good, s.Queue+"\x00")},
			{say("the request queue as reply queue, and the path of a file that holds a request"), toItself},
			{say("the same with bytes after the NUL of the queue's name"),
				withReply(toItself, s.Queue+"\x00"+strings.Repeat("x", 100))},
			{say("a reply queue named ."), withReply(good, "/.\x00")},
			{say("a reply queue of %d-byte messages", tiny[0].Shape.MsgSize), withReply(good, tiny[0].ReplyName()+"\x00")},
			{say("a reply queue of %d-byte messages", tiny[1].Shape.MsgSize), withReply(good, tiny[1].ReplyName()+"\x00")},
			{say("random bytes"), random(3000)},
		} {
			r.mustDrop(ctx, s, m.what, m.message)
		}
		for _, c := range tiny {
			message, came := c.Pending()
			r.must(!came, say("sent a request whose reply queue has %d-byte messages", c.Shape.MsgSize), say("nothing is sent there"),
				say("%v", message))
		}
		message, came := reader.Pending()
		r.must(!came, say("sent requests with malformed paths, from a client that reads its queue"),
			say("they are dropped, not answered"), say("%v", message))
		if registered {
			r.eventuallyRegistered(ctx, s, say("sent malformed requests"))
		}
	})
	It("logs to syslog if no flag names a file, and runs without a log where nobody answers", func(ctx SpecContext) {
		needNamespaces()
		dev := filepath.Join(place().Dir, "dev")
		syslog := must(harness.NewSyslog(dev))
		DeferCleanup(syslog.Close)
		start := func(p harness.Place) *harness.Server {
			return r.startBy(ctx, p, harness.Hostile(), "--root", p.Root, "--queue", p.Queue, "--pidfile", p.PIDFile)
		}
		s := start(place())
		r.goesOn(harness.SendRaw(ctx, s.Queue, random(300)), s, say("sent %v", say("random bytes")))
		_, err := syslog.Line(ctx)
		r.must(err == nil, say("started it without --log, and sent random bytes"),
			say("a line in syslog, which listens on /dev/log"), say("no line arrived"))
		Expect(os.Remove(filepath.Join(dev, "log"))).To(Succeed())
		s = start(place())
		did := say("started it without --log, where there is no /dev/log, and sent random bytes")
		r.goesOn(harness.SendRaw(ctx, s.Queue, random(300)), s, did)
		r.mustServe(ctx, s, did)
	})
	It("serves a good request among malformed ones", func(ctx SpecContext) {
		s := r.start(ctx)
		Expect(s.WriteFile("small", []byte("x"))).To(Succeed())
		r.mustServe(ctx, s, say("started it"))
		c := client(harness.Small)
		if err := s.Stop(ctx); err != nil {
			heldUp(say("the daemon cannot be stopped: %v", err))
		}
		err := errors.Join(harness.SendRaw(ctx, s.Queue, nil), harness.SendRaw(ctx, s.Queue, random(300)),
			c.Request(ctx, s.Queue, "small"), harness.SendRaw(ctx, s.Queue, nil))
		s.Continue()
		r.goesOn(err, s, say("sent requests"))
		e, err := c.Finish(ctx, "small")
		r.can(ctx, err == nil && string(e.Content) == "x",
			say("stopped the daemon with SIGSTOP, sent it two malformed requests, a good one and another malformed "+
				"one, and let it continue"), say("the good one is served"), say("%s, error: %v", e.Summary(), err),
			say("a malformed request ends the loop that drains the queue, and the requests behind it trigger no "+
				"notification"))
	})
})

// request is one as the contract wants it.
func request(reply, path string) []byte {
	return must(wire.Request{PID: self, Reply: reply, Path: path}.Append(nil))
}

// self is the PID that the spec's own clients give.
var self = int32(os.Getpid())

func overlong(good []byte, fill byte) []byte {
	full := append(bytes.Clone(good), bytes.Repeat([]byte{fill}, wire.RequestSize-len(good))...)
	if fill != 0 {
		full[len(good)-1] = fill
	}
	return full
}

func withReply(good []byte, name string) []byte {
	b := bytes.Clone(good)
	copy(b[4:260], name)
	return b
}

func (r row) mustDrop(ctx context.Context, s *harness.Server, what rubric.Text, message []byte) {
	logged := logSize(s)
	r.goesOn(harness.SendRaw(ctx, s.Queue, message), s, say("sent %v", what))
	grew := eventually(ctx, func() bool { return logSize(s) > logged })
	r.must(grew, say("sent %v", what), say("a line in the log"), say("%v has not grown", s.Log))
	r.mustServe(ctx, s, say("sent %v", what))
}

func logSize(s *harness.Server) int64 {
	info, err := os.Stat(s.Log)
	if err != nil {
		return 0
	}
	return info.Size()
}

// eventuallyOpen waits until the daemon has at most as many descriptors, and tells how many it has then. What a child
// process holds counts as the daemon's: that it has one at all is the row `threads`'s.
func (r row) eventuallyOpen(ctx context.Context, s *harness.Server, most int) (open int, ok bool) {
	ok = eventually(ctx, func() bool {
		n, err := s.OpenFiles()
		open = n
		return err == nil && n <= most && !hasChildren(s)
	})
	return open, ok
}

func hasChildren(s *harness.Server) bool {
	children, err := procfs.New("/proc").Children(s.PID)
	return err == nil && len(children) > 0
}

// openFiles counts the daemon's descriptors when it has nothing to do: a client that has got END may be faster than the
// server is to close its queue.
func (r row) openFiles(ctx context.Context, s *harness.Server) int {
	eventually(ctx, func() bool {
		return r.open(s, func(fd procfs.Descriptor) bool {
			return strings.HasPrefix(fd.Target, "/spec-reply-") || strings.HasPrefix(fd.Target, s.Root+"/")
		}) == nil
	})
	n, err := s.OpenFiles()
	r.goesOn(err, s, say("counted %v", s.Process.Path("fd")))
	return n
}

// open lists those of the daemon's descriptors that a function picks.
func (r row) open(s *harness.Server, pick func(fd procfs.Descriptor) bool) (list []string) {
	fds, err := s.Process.Descriptors()
	r.goesOn(err, s, say("read %v", s.Process.Path("fd")))
	for _, fd := range fds {
		if pick(fd) {
			list = append(list, s.Process.Path("fd")+"/"+fd.String())
		}
	}
	return list
}

// eventuallyFreed waits until the daemon holds nothing of a transfer any more, neither the reply queue nor the file. A
// child process, which is the row `threads`'s fault, may hold it instead.
func (r row) eventuallyFreed(ctx context.Context, s *harness.Server, c *harness.Client, watch *harness.Stopwatch) (held []string) {
	eventually(ctx, func() bool {
		watch.Look(s)
		held = r.open(s, func(fd procfs.Descriptor) bool {
			target := strings.TrimSuffix(fd.Target, " (deleted)")
			return target == c.ReplyName() || target == filepath.Join(s.Root, "large")
		})
		return held == nil && !hasChildren(s)
	})
	return held
}

// victim starts a process for clients to name as theirs, and returns a function that kills and reaps it.
func victim() (pid int32, kill func()) {
	process := exec.Command("sleep", "1000")
	Expect(process.Start()).To(Succeed())
	kill = func() {
		process.Process.Kill()
		process.Wait()
	}
	DeferCleanup(kill)
	return int32(process.Process.Pid), kill
}

var _ = Row("stuck", func(r row) {
	It("notices within 2 s that a client was killed in mid-transfer", func(ctx SpecContext) {
		s := r.start(ctx)
		pid, kill := victim()
		c := r.stuckClient(ctx, s, pid, large)
		kill()
		watch := harness.NewStopwatch()
		held := r.eventuallyFreed(ctx, s, c, &watch)
		r.must(held == nil && watch.Within(2*time.Second+harness.Slack),
			say("killed and reaped a client that had asked for a large file and read nothing"),
			say("within 2 s everything held for the transfer is freed"),
			say("after %v it still holds:\n%s", watch.Took(), strings.Join(held, "\n")))
		c.Close()
		r.mustServe(ctx, s, say("killed a client in mid-transfer"))
	})
	It("keeps nothing of clients that were killed in mid-transfer", func(ctx SpecContext) {
		s := r.start(ctx)
		const clients, more = 6, 8
		files, threads := 0, 0
		for round := range 3 { // what was started for so many at once may stay
			pid, kill := victim()
			stuck := r.stuckClients(ctx, s, slices.Repeat([]int32{pid}, clients)...)
			kill()
			if round == 0 {
				files, threads = r.openFiles(ctx, s), r.status(s).Threads
			}
			did := say("killed and reaped %d clients that had asked for a large file and read nothing, three times", clients)
			open, ok := r.eventuallyOpen(ctx, s, files)
			r.can(ctx, ok, did, say("as many descriptors as after the first time"),
				say("%d, there were %d:\n%s", open, files, s.Process.Path("fd")))
			var now int
			fewThreads := eventually(ctx, func() bool {
				now = r.status(s).Threads
				return now <= threads+more
			})
			r.can(ctx, fewThreads, did, say("as many threads as after the first time"),
				say("%s: Threads: %d; before: %d", s.Process.Path("status"), now, threads))
			for _, c := range stuck {
				c.Close()
			}
		}
	})
	It("gives up a living client that takes nothing for the time of --stall", func(ctx SpecContext) {
		s := r.start(ctx, "--stall", "1")
		watch := harness.NewStopwatch()
		c := r.stuckClient(ctx, s, self, large)
		Expect(s.WriteFile("empty", nil)).To(Succeed())
		kinds, blocked := []string{"FAILURE", "INFO", "END"}, make([]*harness.Client, 3)
		for i, path := range []string{"missing", "empty", "empty"} {
			blocked[i] = client(harness.Shape{Depth: 1, MsgSize: 256})
			if kinds[i] != "END" { // INFO fills the queue
				Expect(blocked[i].Fill()).To(Succeed())
			}
			r.goesOn(blocked[i].Request(ctx, s.Queue, path), s, say("asked for a file, with a reply queue that is full"))
		}
		held := r.eventuallyFreed(ctx, s, c, &watch)
		inTime := watch.Took() > 900*time.Millisecond && watch.Within(2*time.Second+harness.Slack)
		r.must(held == nil && inTime, say("started it with --stall 1 and read nothing of a large file"),
			say("after 1 s, not earlier, it gives up the transfer and frees everything held for it"),
			say("after %v it still holds:\n%s", watch.Took(), strings.Join(held, "\n")))
		for i, kind := range kinds {
			held = r.eventuallyFreed(ctx, s, blocked[i], &watch)
			r.must(held == nil && watch.Within(2*time.Second+harness.Slack),
				say("started it with --stall 1 and asked for a file, with a reply queue that has no room for %s", kind),
				say("after 1 s it gives up on %s, too, and frees what it held for it", kind),
				say("after %v it still holds:\n%s", watch.Took(), strings.Join(held, "\n")),
				say("%s is sent by a call that waits for room without limit", kind))
		}
		c.Close()
		r.mustServe(ctx, s, say("let a transfer stall"))
	})
	It("does not give up a client that takes a little now and then", func(ctx SpecContext) {
		for _, stall := range []int{1, 4, 16} {
			s := r.start(ctx, "--stall", fmt.Sprint(stall))
			c := r.stuckClient(ctx, s, self, large)
			pause := time.Duration(stall) * 100 * time.Millisecond
			harness.HeldUp()
			slow, err := c.FinishSlowly(ctx, "large", pause, 13*pause)
			held := max(harness.HeldUp(), slow.Slowest-pause)
			c.Close()
			if err == nil && bytes.Equal(slow.Content, large) {
				return
			}
			// Where the machine holds up the suite or the server, a pause becomes a stall.
			r.can(ctx, held > 4*pause,
				say("started it with --stall %d and read one message every %v for a while, then the rest", stall,
					pause),
				say("the whole file: --stall limits how long a client may take nothing, not how long a transfer "+
					"may last"),
				say("%s, error: %v; no process here was held up for more than %v", difference(slow, large), err, held))
			r.clear()
			s.Remove()
		}
		heldUp(say("this machine holds up processes for seconds"))
	})
	It("does not give up a client whose PID means nothing here", func(ctx SpecContext) {
		s := r.start(ctx)
		clients := r.stuckClients(ctx, s, 1<<31-1, 0, -1, 1, self)
		// A program has to look at a client that takes nothing only every 2 s.
		<-time.After(2200 * time.Millisecond)
		for i, c := range clients {
			e, err := c.Finish(ctx, "large")
			did := say("sent a request with PID %d, which no process has, and began to read after 2 s", c.PID)
			var cause rubric.Text
			if c.PID == 1 {
				did = say("sent a request with PID 1, a live process of another user, and began to read after 2 s")
				cause = say("kill(pid, 0) also fails, with EPERM, for another user's live process; only ESRCH means " +
					"that there is none")
			}
			if c.PID == self {
				did, cause = say("started it without --stall, and began to read after 2 s"), say("--stall is 60 by default")
			}
			r.can(ctx, err == nil && len(e.Content) == len(large), did, say("the whole file"),
				say("%s, error: %v", difference(e, largeOf(i)), err), cause)
		}
	})
})

// stuckClient, with a PID of its own, is in the middle of a transfer: its queue is full.
func (r row) stuckClient(ctx context.Context, s *harness.Server, pid int32, content []byte) *harness.Client {
	Expect(s.WriteFile("large", content)).To(Succeed())
	c := client(harness.Shape{Depth: 2, MsgSize: 4096})
	c.PID = pid
	r.goesOn(c.Request(ctx, s.Queue, "large"), s, say("asked for a large file"))
	r.can(ctx, eventually(ctx, c.IsFull), say("asked for a large file and read nothing"),
		say("the reply queue fills up"), say("it does not"))
	return c
}

var _ = Row("sighup", func(r row) {
	It("reopens the log and continues its transfers", func(ctx SpecContext) {
		s := r.start(ctx)
		r.mustServe(ctx, s, say("started it"))
		c := r.stuckClient(ctx, s, self, large)
		r.must(os.Rename(s.Log, s.Log+".1") == nil, say("looked for the log that --log names"), say("it exists"),
			say("%v does not exist", s.Log))
		r.goesOn(s.Signal(unix.SIGHUP), s, say("sent SIGHUP"))
		r.must(eventually(ctx, func() bool { return exists(s.Log) }), say("renamed the log and sent SIGHUP"),
			say("the log exists again under its name"), say("no %s; daemon alive: %v", s.Log, s.Alive()))
		e, err := c.Finish(ctx, "large")
		r.can(ctx, err == nil && bytes.Equal(e.Content, large),
			say("sent SIGHUP in mid-transfer"), say("the transfer continues"),
			say("%s, error: %v", difference(e, large), err))
		r.mustServe(ctx, s, say("sent SIGHUP"))
		// It must be logged, which a file need not be.
		r.goesOn(harness.SendRaw(ctx, s.Queue, []byte("no request")), s, say("sent a message that is not a request"))
		r.must(eventually(ctx, func() bool { return logSize(s) > 0 }),
			say("sent SIGHUP, then a message that is not a request"), say("its line is in the new log"),
			say("%v is empty", s.Log))
	})
	It("appends to the log that is there, and keeps nothing of the old one", func(ctx SpecContext) {
		s := r.start(ctx)
		r.mustServe(ctx, s, say("started it"))
		r.reopened(ctx, s) // what the first time opens for good is there from now on
		before := r.openFiles(ctx, s)
		for range 20 {
			r.reopened(ctx, s)
		}
		logs := func(path string) []string {
			return r.open(s, func(fd procfs.Descriptor) bool { return strings.HasPrefix(fd.Target, path) })
		}
		open, ok := r.eventuallyOpen(ctx, s, before)
		r.must(ok, say("renamed the log and sent SIGHUP, 20 times"), say("%d descriptors, as before", before),
			say("%d in %s\n%s", open, s.Process.Path("fd"), strings.Join(logs(filepath.Dir(s.Log)), "\n")))
		var old []string // it may still be open when the new one is there
		closed := eventually(ctx, func() bool {
			old = logs(s.Log + ".1")
			return old == nil
		})
		r.must(closed, say("renamed the log and sent SIGHUP"), say("the old one is closed"),
			say("%v", strings.Join(old, "\n")))
		content := must(os.ReadFile(s.Log))
		Expect(appendTo(s.Log, "written by another\n")).To(Succeed())
		inode := inodeOf(s.Log)
		r.goesOn(s.Signal(unix.SIGHUP), s, say("sent SIGHUP"))
		r.mustServe(ctx, s, say("sent SIGHUP without renaming the log"))
		c := client(harness.Small)
		logged := logSize(s)
		e, _ := c.Fetch(ctx, s.Queue, "missing")
		eventually(ctx, func() bool { return logSize(s) != logged })
		now, err := os.ReadFile(s.Log)
		kept := string(content) + "written by another\n"
		r.must(err == nil && strings.HasPrefix(string(now), kept) && inodeOf(s.Log) == inode,
			say("sent SIGHUP without renaming the log, which had %d bytes, then asked for a file: %s", len(kept), e.Summary()),
			say("the log is appended to and keeps what it held"),
			say("%d bytes: %.200q, error: %v; same inode: %v", len(now), now, err, inodeOf(s.Log) == inode),
			say("open(2) with O_TRUNC or without O_APPEND; or a new file replaces it"))
	})
	It("interrupts nothing where there is no log file", func(ctx SpecContext) {
		needNamespaces()
		p := place()
		syslog := must(harness.NewSyslog(filepath.Join(p.Dir, "dev")))
		DeferCleanup(syslog.Close)
		s := r.startBy(ctx, p, harness.Hostile(), "--root", p.Root, "--queue", p.Queue, "--pidfile", p.PIDFile)
		s.Signal(unix.SIGHUP)
		delivered(ctx, s, unix.SIGHUP)
		r.mustServe(ctx, s, say("started it without --log, and sent SIGHUP"))
	})
	It("interrupts nothing where the log cannot be opened again", func(ctx SpecContext) {
		s := r.start(ctx)
		r.mustServe(ctx, s, say("started it"))
		dir := filepath.Dir(s.Log)
		Expect(os.Rename(dir, dir+".away")).To(Succeed())
		s.Signal(unix.SIGHUP)
		delivered(ctx, s, unix.SIGHUP)
		eventually(ctx, s.Sleeps)
		did := say("moved the log's directory away, sent SIGHUP and a request that is dropped")
		for range 2 { // what is to be logged ends a program that has no log any more
			r.goesOn(harness.SendRaw(ctx, s.Queue, request("/no-such-queue", "still")), s, did)
			r.mustServe(ctx, s, did)
		}
	})
	It("interrupts nothing however often it comes", func(ctx SpecContext) {
		s := r.start(ctx)
		r.mustServe(ctx, s, say("started it"))
		Expect(s.WriteFile("large", large)).To(Succeed())
		c := client(harness.Shape{Depth: 4, MsgSize: 4096})
		r.goesOn(c.Request(ctx, s.Queue, "large"), s, say("asked for a large file"))
		var content []byte
		var e harness.Exchange
		var err error
		for range 100 {
			s.Signal(unix.SIGHUP)
			if e, err = c.Begin(ctx, 1); err != nil {
				break
			}
			content = append(content, e.Content...)
		}
		if err == nil {
			e, err = c.Finish(ctx, "large")
			content = append(content, e.Content...)
		}
		r.can(ctx, err == nil && bytes.Equal(content, large),
			say("sent SIGHUP 100 times in the middle of a transfer, once for each message"), say("the whole file"),
			say("%d of %d bytes, %v, error: %v, daemon alive: %v", len(content), len(large), e.Last(), err, s.Alive()),
			say("a call interrupted by the signal (EINTR) is treated as failed"))
		r.mustServe(ctx, s, say("sent SIGHUP 100 times"))
	})
})

// reopened renames the log, sends SIGHUP and waits for a new one.
func (r row) reopened(ctx context.Context, s *harness.Server) {
	r.must(r.reopens(ctx, s), say("renamed the log and sent SIGHUP"), say("the log exists again under its name"),
		say("no %s; daemon alive: %v", s.Log, s.Alive()))
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func ownerOf(path string) uint32 {
	var st unix.Stat_t
	unix.Stat(path, &st)
	return st.Uid
}

func inodeOf(path string) uint64 {
	var st unix.Stat_t
	unix.Stat(path, &st)
	return st.Ino
}

var _ = Row("sigterm", func(r row) {
	It("ends at once when it is idle, and leaves nothing", func(ctx SpecContext) {
		s := r.start(ctx)
		s.Signal(unix.SIGTERM)
		r.mustEnd(ctx, s, harness.NewStopwatch(), 2*time.Second, sentSIGTERM)
	})
	It("ends at once when all its requests are done", func(ctx SpecContext) {
		p := place()
		if uid, gid, err := harness.Account("nobody"); err == nil && os.Geteuid() == 0 {
			os.Chown(filepath.Dir(p.PIDFile), uid, gid) // the account may remove the file
		}
		s := r.startAt(ctx, p, harness.Hostile())
		if !served(ctx, s) {
			return
		}
		r.openFiles(ctx, s)
		eventually(ctx, s.Sleeps) // a transfer whose END has come may still be about to end
		s.Signal(unix.SIGTERM)
		r.mustEnd(ctx, s, harness.NewStopwatch(), 2*time.Second,
			say("asked for a file and for a missing one, sent requests that are dropped, then SIGTERM"),
			say("a request that was answered with FAILURE, or dropped, still counts as a running transfer"))
	})
	It("ends at once when the client of its only transfer was killed", func(ctx SpecContext) {
		s := r.start(ctx)
		pid, kill := victim()
		c := r.stuckClient(ctx, s, pid, large)
		kill()
		watch := harness.NewStopwatch()
		if r.eventuallyFreed(ctx, s, c, &watch) != nil {
			return // it is the row `stuck`'s
		}
		eventually(ctx, s.Sleeps)
		s.Signal(unix.SIGTERM)
		r.mustEnd(ctx, s, harness.NewStopwatch(), 2*time.Second,
			say("killed and reaped a client in mid-transfer, waited until the transfer had been dropped, and sent SIGTERM"),
			say("a transfer that was dropped still counts as one that runs"))
	})
	It("lets a transfer finish", func(ctx SpecContext) {
		s := r.start(ctx)
		content := large[:16<<10] // more may take a slow reader longer than the 5 s
		c := r.stuckClient(ctx, s, self, content)
		harness.HeldUp()
		r.goesOn(s.Signal(unix.SIGTERM), s, say("sent SIGTERM"))
		<-time.After(2500 * time.Millisecond)
		e, err := c.Finish(ctx, "large")
		whole := err == nil && bytes.Equal(e.Content, content)
		if held := harness.HeldUp(); !whole && held > time.Second/2 {
			heldUp(say("this machine held up processes for %v, and a server may end transfers 5 s after SIGTERM", held))
		}
		r.can(ctx, whole, say("sent SIGTERM in mid-transfer, and read on after 2.5 s"), say("the transfer may finish within 5 s"),
			say("%s, error: %v", difference(e, content), err))
		s.Signal(unix.SIGTERM) // once more
		r.mustEnd(ctx, s, harness.NewStopwatch(), 6*time.Second, sentSIGTERM)
	})
	It("ends within 6 s when a client takes nothing, serves nobody else, and tells those that it cuts", func(ctx SpecContext) {
		s := r.start(ctx)
		r.stuckClient(ctx, s, self, large)
		slow := r.slowClients(ctx, s, 16)
		late := client(harness.Small)
		watch := harness.NewStopwatch()
		begin := time.Now()
		r.goesOn(s.Signal(unix.SIGTERM), s, say("sent SIGTERM"))
		<-time.After(2 * time.Second) // an idle server would have ended by now
		asked := late.Request(ctx, s.Queue, "large")
		// The server is stopped around the 5 s, and what it has sent is taken meanwhile: when it cuts the transfers there is
		// room in each queue that it does not fill again first.
		<-time.After(time.Until(begin.Add(4500 * time.Millisecond)))
		slow = stillServed(ctx, slow)
		if s.Stop(ctx) != nil || s.FavourMain() != nil || time.Since(begin) > 4900*time.Millisecond {
			slow = nil
		}
		for _, c := range slow {
			c.TakeAll()
		}
		<-time.After(time.Until(begin.Add(5200 * time.Millisecond)))
		s.Continue()
		r.mustEnd(ctx, s, watch, 6*time.Second, sentSIGTERM)
		answer, answered := late.Pending()
		r.must(asked != nil || !answered || answer.Kind == wire.Failure,
			say("sent SIGTERM in mid-transfer, and 2 s later a request"),
			say("no answer, or FAILURE: it takes no more requests"), say("%v", answer))
		for _, c := range slow {
			e := c.TakeAll()
			told := slices.ContainsFunc(e.Messages, func(m harness.Message) bool {
				return m.Kind == wire.Failure || m.Kind == wire.End
			})
			r.must(told || len(e.Messages) >= c.Shape.Depth,
				say("sent SIGTERM in mid-transfer, and drained the reply queue before the 5 s were up"),
				say("FAILURE: the transfer was cut short, and the queue has room for it"),
				say("%s; the queue has %d messages", e.Summary(), c.Shape.Depth),
				say("a thread returns from a cut transfer without sending it, or the process exits while its "+
					"threads are still sending"))
		}
	})
	It("ends cleanly when SIGTERM comes twice, and in the middle of log lines", func(ctx SpecContext) {
		const rounds = 3 // in each the signal comes at another moment of its work
		for range rounds {
			s := r.start(ctx)
			signals := []unix.Signal{unix.SIGTERM, unix.SIGTERM}
			survives := r.reopens(ctx, s)
			if survives { // it writes the log while SIGTERM comes
				hups := slices.Repeat([]unix.Signal{unix.SIGHUP}, 100)
				signals = slices.Concat(hups, signals, hups)
			} else {
				s = r.start(ctx) // SIGHUP may have ended the first one, which is the row `sighup`'s
			}
			// It has something to finish, so that the second SIGTERM finds it alive.
			c := r.stuckClient(ctx, s, self, large[:64<<10])
			for _, sig := range signals {
				if status, err := s.Process.Status(); err == nil && status.ShdPnd.Has(sig) {
					continue // a program that takes signals by sigwait(3) is not waiting now: it would be merged
				}
				s.Signal(sig)
				delivered(ctx, s, sig)
			}
			if s.Alive() {
				c.Finish(ctx, "large")
			}
			// One that had something to finish may use up the whole time for it.
			r.mustEnd(ctx, s, harness.NewStopwatch(), 6*time.Second, sentSIGTERM)
			r.clear()
			s.Remove()
			if !survives {
				return
			}
		}
	})
})

// slowClients are in mid-transfer of a file without an end.
func (r row) slowClients(ctx context.Context, s *harness.Server, n int) []*harness.Client {
	if err := s.WriteHole("endless", 8<<30); err != nil {
		AddReportEntry(finding.Noted, say("no file of 8 GiB can be made here: %v", err))
		return nil
	}
	clients := make([]*harness.Client, n)
	for i := range clients {
		clients[i] = client(harness.Shape{Depth: 10, MsgSize: 256})
		r.goesOn(clients[i].Request(ctx, s.Queue, "endless"), s, say("asked for a huge file"))
	}
	return clients
}

// stillServed are those of the clients whose queues are full, and full again when a message is taken.
func stillServed(ctx context.Context, clients []*harness.Client) []*harness.Client {
	hasRoom := func(c *harness.Client) bool { return !c.IsFull() }
	clients = slices.DeleteFunc(clients, hasRoom)
	for _, c := range clients {
		c.Pending()
	}
	within(ctx, harness.Slack/5, func() bool { return !slices.ContainsFunc(clients, hasRoom) })
	return slices.DeleteFunc(clients, hasRoom)
}

var sentSIGTERM = say("sent SIGTERM")

// served has the daemon send a file, refuse one, and drop two messages. It reports whether it has, which other rows are
// about.
func served(ctx context.Context, s *harness.Server) bool {
	c := client(harness.Small)
	defer c.Close()
	Expect(s.WriteFile("still", nil)).To(Succeed())
	for _, path := range []string{"still", "missing", "still"} {
		if _, err := fetchSoon(ctx, c, s, path); err != nil {
			return false
		}
		harness.SendRaw(ctx, s.Queue, []byte("no request"))
		harness.SendRaw(ctx, s.Queue, request("/no-such-queue", "still"))
	}
	_, err := fetchSoon(ctx, c, s, "still")
	return err == nil && s.Alive()
}

// delivered waits until the daemon has a signal: of two that are pending together it gets one.
func delivered(ctx context.Context, s *harness.Server, sig unix.Signal) {
	within(ctx, harness.Slack/5, func() bool {
		status, err := s.Process.Status()
		return err != nil || !status.ShdPnd.Has(sig)
	})
}

func waitForEnd(ctx context.Context, s *harness.Server, limit time.Duration) (unix.WaitStatus, error) {
	ctx, cancel := harness.WithTimeout(ctx, limit)
	defer cancel()
	return s.WaitForEnd(ctx)
}

// mustEnd proves that the daemon ends before the limit has passed on the watch, and leaves nothing.
func (r row) mustEnd(ctx context.Context, s *harness.Server, watch harness.Stopwatch, limit time.Duration, did rubric.Text,
	cause ...rubric.Text) {
	var status unix.WaitStatus
	err := context.DeadlineExceeded
	for first := true; errors.Is(err, context.DeadlineExceeded) && (first || watch.Within(limit+harness.Slack)); first = false {
		soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		status, err = s.WaitForEnd(soon)
		cancel()
		watch.Look(s)
	}
	r.must(!errors.Is(err, context.DeadlineExceeded), did, say("the daemon ends within %v", limit),
		say("it is still running after %v", watch.Took()), cause...)
	Expect(err).NotTo(HaveOccurred())
	var killed rubric.Text
	if status.Signaled() {
		killed = say("; the daemon was killed by %s", unix.SignalName(status.Signal()))
	}
	r.must(!harness.QueueExists(s.Queue), did, say("the request queue is unlinked"),
		say("queue %v is still there%v", s.Queue, killed))
	content, err := os.ReadFile(s.PIDFile)
	var left []rubric.Text
	if err == nil && len(content) == 0 {
		left = append(left, say("its directory belongs to the account, which may remove it: ftruncate(2) is for where unlink(2) fails"))
	}
	r.must(err != nil || len(content) == 0 && ownerOf(filepath.Dir(s.PIDFile)) == 0,
		did, say("the PID file is removed, or emptied where the account may not remove it"),
		say("%s holds %q%v", s.PIDFile, content, killed), left...)
}

var _ = Row("leaks", func(r row) {
	It("is where it was after thousands of requests, good and bad", func(ctx SpecContext) {
		s := r.start(ctx)
		Expect(s.WriteFile("file", random(1000))).To(Succeed())
		Expect(os.Mkdir(filepath.Join(s.Root, "dir"), 0o755)).To(Succeed())
		c := client(harness.Small)
		slow := map[string]int{}
		r.load(ctx, s, c, slow, 200)
		files, before := r.openFiles(ctx, s), r.status(s)
		const requests = 800
		r.load(ctx, s, c, slow, requests)
		open, ok := r.eventuallyOpen(ctx, s, files)
		r.can(ctx, ok || open > files, say("made %d requests", requests), say("it has no children"), say("it has children"))
		r.can(ctx, ok,
			say("made %d requests: for a file, for a missing file, for a directory, malformed ones, and some with a "+
				"missing reply queue or one of 128-byte messages", requests),
			say("as many descriptors as before"), say("%d, %d before:\n%s", open, files, s.Process.Path("fd")))
		var after = r.status(s)
		fewThreads := eventually(ctx, func() bool {
			after = r.status(s)
			return after.Threads <= before.Threads+8
		})
		r.can(ctx, fewThreads, say("made %d requests", requests), say("as many threads as before"),
			say("%s: Threads: %d; before: %d", s.Process.Path("status"), after.Threads, before.Threads))
	})
	for _, kind := range []struct {
		name rubric.Text
		path string
	}{
		{say("requests that are dropped"), ""},
		{say("requests for a file"), "file"},
		{say("requests for a missing file"), "missing"},
	} {
		It("keeps no memory of "+kind.name.EN, func(ctx SpecContext) {
			s := r.start(ctx)
			Expect(s.WriteFile("file", random(1000))).To(Succeed())
			c := client(harness.Small)
			slow := map[string]int{}
			run := func(requests int) {
				for range requests {
					if kind.path == "" {
						r.makeDropped(ctx, s)
					} else {
						r.fetchAgain(ctx, c, s, kind.path, slow)
					}
				}
				r.fetch(ctx, c, s, "file") // what was dropped then is
			}
			run(200)
			// A runtime that collects its garbage grows for a while, and is then where it was. What a server keeps of each
			// request makes it grow by as much again in a second run, and in a third.
			const most = 4 << 20
			const requests = most / 3200 // a whole request is more
			memory := r.status(s).VmRSS
			var grown []string
			for range 3 {
				run(requests)
				now := r.status(s).VmRSS
				if now <= memory+most {
					return
				}
				grown = append(grown, fmt.Sprintf("%d kB", (now-memory)>>10))
				memory = now
			}
			r.can(ctx, false, say("made %d %v, three times", requests, kind.name), say("memory has not grown"),
				say("%s: VmRSS has grown by %s", s.Process.Path("status"), strings.Join(grown, ", ")))
		})
	}
})

// makeDropped sends two requests that are dropped, for one reason and the other.
func (r row) makeDropped(ctx context.Context, s *harness.Server) {
	lost := request("/no-such-queue", strings.Repeat("p", 4095))
	for _, message := range [][]byte{lost, lost[:len(lost)-1]} {
		r.goesOn(harness.SendRaw(ctx, s.Queue, message), s, say("sent a request that is dropped"))
	}
}

// fetchAgain asks for a file, but no more for one that was slow to come again and again: thousands take longer than a row
// may, and how soon an answer is due is the row `errors`.
func (r row) fetchAgain(ctx context.Context, c *harness.Client, s *harness.Server, path string, slow map[string]int) {
	if slow[path] == 3 {
		return
	}
	begin := harness.Now()
	r.fetch(ctx, c, s, path)
	if harness.Now()-begin > harness.Slack {
		slow[path]++
	}
}

// load makes a mix of requests and waits for the answers of those that get one.
func (r row) load(ctx context.Context, s *harness.Server, c *harness.Client, slow map[string]int, requests int) {
	lost := request("/no-such-queue", "file")
	tiny := client(harness.Shape{Depth: 4, MsgSize: 128})
	defer tiny.Close()
	dropped := [][]byte{lost, lost[:len(lost)-1], request(tiny.ReplyName(), "missing")}
	for i := range requests {
		switch i % 4 {
		case 0:
			r.fetchAgain(ctx, c, s, "file", slow)
		case 1:
			r.fetchAgain(ctx, c, s, "missing", slow)
		case 2:
			r.fetchAgain(ctx, c, s, "dir", slow)
		case 3:
			tiny.TakeAll() // what is sent there is the row `malformed`'s
			r.goesOn(harness.SendRaw(ctx, s.Queue, dropped[i/4%len(dropped)]), s, say("sent a malformed request"))
		}
	}
	r.fetch(ctx, c, s, "file")
}
