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
	It("drops and logs what is no request, and serves the next one", func(ctx SpecContext) {
		s := r.start(ctx)
		_, registered := registration(s)
		r.mustServe(ctx, s, say("started it"))
		reader := client(harness.Small)
		good, err := wire.Request{PID: 1, Reply: reader.ReplyName(), Path: "still"}.Append(nil)
		Expect(err).NotTo(HaveOccurred())
		// A server that answers into its own queue takes this content for a request, and answers that.
		Expect(s.WriteFile("request", good)).To(Succeed())
		toItself, err := wire.Request{PID: 1, Reply: s.Queue, Path: "request"}.Append(nil)
		Expect(err).NotTo(HaveOccurred())
		tiny := client(harness.Shape{Depth: 4, MsgSize: 128})
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
			{say("a request whose reply queue is not terminated"), withReply(good, strings.Repeat("/", 1)+strings.Repeat("r", 255))},
			{say("a reply queue without a slash"), withReply(good, "reply\x00")},
			{say("a reply queue with two slashes"), withReply(good, "/re/ply\x00")},
			{say("a reply queue without a name"), withReply(good, "\x00")},
			{say("a reply queue that does not exist"), withReply(good, "/no-such-queue\x00")},
			{say("the request queue as reply queue"), withReply(good, s.Queue+"\x00")},
			{say("the request queue as reply queue, and the path of a file that holds a request"), toItself},
			{say("the same with bytes after the NUL of the queue's name"), withReply(toItself, s.Queue+"\x00"+strings.Repeat("x", 100))},
			{say("a reply queue named ."), withReply(good, "/.\x00")},
			{say("a reply queue of messages of 128 bytes"), withReply(good, tiny.ReplyName()+"\x00")},
			{say("random bytes"), random(3000)},
		} {
			r.mustDrop(ctx, s, m.what, m.message)
		}
		message, came := tiny.Pending()
		r.must(!came, finding.Finding{
			Did: say("named a reply queue of messages of 128 bytes"), Wants: say("nothing is sent there"), Saw: say("%v", message),
		})
		message, came = reader.Pending()
		r.must(!came, finding.Finding{
			Did: say("sent requests with wrong paths, from a client that reads"), Wants: say("they are dropped, not answered"),
			Saw: say("%v", message),
		})
		if registered {
			r.eventuallyRegistered(ctx, s, say("sent malformed requests"))
		}
	})
	It("logs to syslog if no flag names a file", func(ctx SpecContext) {
		needNamespaces()
		p := place()
		syslog, err := harness.NewSyslog(filepath.Join(p.Dir, "dev"))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(syslog.Close)
		s := r.startBy(ctx, p, harness.Hostile(), "--root", p.Root, "--queue", p.Queue, "--pidfile", p.PIDFile)
		r.goesOn(harness.SendRaw(ctx, s.Queue, random(300)), s, say("sent %v", say("random bytes")))
		_, err = syslog.Line(ctx)
		r.must(err == nil, finding.Finding{
			Did: say("started it without --log, and sent random bytes"), Wants: say("a line to syslog, which answers at /dev/log"),
			Saw: say("no line came"),
		})
	})
	It("serves a request that comes among such", func(ctx SpecContext) {
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
		r.can(ctx, err == nil && string(e.Content) == "x", finding.Finding{
			Did:   say("stopped the daemon by SIGSTOP, put two malformed requests, a good one and one more into its queue, and let it go on"),
			Wants: say("the good one is served"), Saw: say("%s, error: %v", e.Summary(), err),
			Cause: say("a malformed request ends the loop that empties the queue, and the requests behind it notify nobody"),
		})
	})
})

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
	GinkgoHelper()
	logged := logSize(s)
	r.goesOn(harness.SendRaw(ctx, s.Queue, message), s, say("sent %v", what))
	grew := eventually(ctx, func() bool { return logSize(s) > logged })
	r.must(grew, finding.Finding{
		Did: say("sent %v", what), Wants: say("a line in the log"), Saw: say("%v has not grown", s.Log),
	})
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
	GinkgoHelper()
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
	GinkgoHelper()
	eventually(ctx, func() bool {
		fds, err := s.Process.Descriptors()
		return err != nil || !slices.ContainsFunc(fds, func(fd procfs.Descriptor) bool {
			return strings.HasPrefix(fd.Target, "/spec-reply-") || strings.HasPrefix(fd.Target, s.Root+"/")
		})
	})
	n, err := s.OpenFiles()
	r.goesOn(err, s, say("counted %v", s.Process.Path("fd")))
	return n
}

// holds lists what the daemon has open of a transfer: the reply queue and the file.
func (r row) holds(s *harness.Server, c *harness.Client) (held []string) {
	GinkgoHelper()
	fds, err := s.Process.Descriptors()
	r.goesOn(err, s, say("read %v", s.Process.Path("fd")))
	for _, fd := range fds {
		target := strings.TrimSuffix(fd.Target, " (deleted)")
		if target == c.ReplyName() || target == filepath.Join(s.Root, "large") {
			held = append(held, s.Process.Path("fd")+"/"+fd.String())
		}
	}
	return held
}

// eventuallyFreed waits until the daemon holds nothing of a transfer any more. A child process, which is the row
// `threads`'s fault, may hold it instead.
func (r row) eventuallyFreed(ctx context.Context, s *harness.Server, c *harness.Client) (held []string) {
	GinkgoHelper()
	eventually(ctx, func() bool {
		held = r.holds(s, c)
		return held == nil && !hasChildren(s)
	})
	return held
}

var _ = Row("stuck", func(r row) {
	It("notices within 2 s that a client was killed in mid-transfer", func(ctx SpecContext) {
		s := r.start(ctx)
		Expect(s.WriteFile("large", large)).To(Succeed())
		victim := exec.Command("sleep", "1000")
		Expect(victim.Start()).To(Succeed())
		c := r.stuckClient(ctx, s, int32(victim.Process.Pid))
		victim.Process.Kill()
		victim.Wait()
		watch := harness.NewStopwatch()
		held := r.eventuallyFreed(ctx, s, c)
		r.must(held == nil && watch.Within(2*time.Second+harness.Slack), finding.Finding{
			Did:   say("killed and reaped a client that had asked for a large file and read nothing"),
			Wants: say("within 2 s everything that the transfer held is freed"),
			Saw:   say("after %v it holds:\n%s", watch.Took(), strings.Join(held, "\n")),
		})
		c.Close()
		r.mustServe(ctx, s, say("killed a client in mid-transfer"))
	})
	It("gives up a living client that takes nothing for the time of --stall", func(ctx SpecContext) {
		s := r.start(ctx, "--stall", "1")
		Expect(s.WriteFile("large", large)).To(Succeed())
		watch := harness.NewStopwatch()
		c := r.stuckClient(ctx, s, int32(os.Getpid()))
		untold := client(harness.Shape{Depth: 1, MsgSize: 256})
		Expect(untold.Fill()).To(Succeed())
		r.goesOn(untold.Request(ctx, s.Queue, "missing"), s, say("asked for a missing file, with a reply queue that is full"))
		held := r.eventuallyFreed(ctx, s, c)
		inTime := watch.Took() > 900*time.Millisecond && watch.Within(2*time.Second+harness.Slack)
		r.must(held == nil && inTime, finding.Finding{
			Did:   say("started it with --stall 1 and read nothing of a large file"),
			Wants: say("after 1 s the transfer is given up, not before, and everything that it held is freed"),
			Saw:   say("after %v it holds:\n%s", watch.Took(), strings.Join(held, "\n")),
		})
		held = r.eventuallyFreed(ctx, s, untold)
		r.must(held == nil && watch.Within(2*time.Second+harness.Slack), finding.Finding{
			Did:   say("started it with --stall 1 and asked for a missing file, with a reply queue that stays full"),
			Wants: say("after 1 s FAILURE is given up, too, and what was held for it is freed"),
			Saw:   say("after %v it holds:\n%s", watch.Took(), strings.Join(held, "\n")),
			Cause: say("FAILURE is sent by a call that waits for room without a limit"),
		})
		c.Close()
		r.mustServe(ctx, s, say("let a transfer stall"))
	})
	It("does not give up a client that takes a little now and then", func(ctx SpecContext) {
		for _, stall := range []int{1, 4, 16} {
			s := r.start(ctx, "--stall", fmt.Sprint(stall))
			Expect(s.WriteFile("large", large)).To(Succeed())
			c := r.stuckClient(ctx, s, int32(os.Getpid()))
			pause := time.Duration(stall) * 100 * time.Millisecond
			harness.HeldUp()
			slow, err := c.FinishSlowly(ctx, "large", pause, 13*pause)
			held := max(harness.HeldUp(), slow.Slowest-pause)
			c.Close()
			if err == nil && bytes.Equal(slow.Content, large) {
				return
			}
			// Where the machine holds up the suite or the server, a pause becomes a stall.
			r.can(ctx, held > 4*pause, finding.Finding{
				Did:   say("started it with --stall %d and took one message every %v for a while, then the rest", stall, pause),
				Wants: say("the whole file: --stall is the time in which a client takes nothing"),
				Saw:   say("%d of %d bytes, %v, error: %v; no process here had to wait for longer than %v", len(slow.Content), len(large), slow.Last(), err, held),
			})
			r.clear()
			s.Remove()
		}
		heldUp(say("this machine holds up processes for seconds"))
	})
	It("does not give up a client whose PID means nothing here", func(ctx SpecContext) {
		s := r.start(ctx)
		Expect(s.WriteFile("large", large)).To(Succeed())
		// A program may look at the client only when it has waited for a while.
		slow := 300 * time.Millisecond
		for _, pid := range []int32{1<<31 - 1, 0, -1} {
			c := r.stuckClient(ctx, s, pid)
			e, err := c.FinishSlowly(ctx, "large", slow/3, slow)
			r.can(ctx, err == nil && bytes.Equal(e.Content, large), finding.Finding{
				Did: say("asked with PID %d, which no process has, and read slowly", pid), Wants: say("the whole file"),
				Saw: say("%d of %d bytes, %v, error: %v", len(e.Content), len(large), e.Last(), err),
			})
			c.Close()
		}
	})
})

// stuckClient is in the middle of a transfer: its queue is full.
func (r row) stuckClient(ctx context.Context, s *harness.Server, pid int32) *harness.Client {
	GinkgoHelper()
	c := client(harness.Shape{Depth: 2, MsgSize: 4096})
	c.PID = pid
	r.goesOn(c.Request(ctx, s.Queue, "large"), s, say("asked for a large file"))
	full := eventually(ctx, func() bool {
		n, err := c.Waiting()
		return err == nil && n == c.Shape.Depth
	})
	r.can(ctx, full, finding.Finding{
		Did: say("asked for a large file and read nothing"), Wants: say("the reply queue fills up"), Saw: say("it does not"),
	})
	return c
}

var _ = Row("sighup", func(r row) {
	It("reopens the log and goes on with its transfers", func(ctx SpecContext) {
		s := r.start(ctx)
		r.mustServe(ctx, s, say("started it"))
		Expect(s.WriteFile("large", large)).To(Succeed())
		c := r.stuckClient(ctx, s, int32(os.Getpid()))
		rotated := s.Log + ".1"
		r.must(os.Rename(s.Log, rotated) == nil, finding.Finding{
			Did: say("looked for the log that --log names"), Wants: say("it is there"), Saw: say("%v is not", s.Log),
		})
		r.goesOn(s.Signal(unix.SIGHUP), s, say("sent SIGHUP"))
		r.must(eventually(ctx, func() bool { return exists(s.Log) }), finding.Finding{
			Did: say("renamed the log and sent SIGHUP"), Wants: say("the log is there again under its name"),
			Saw: say("no %s; daemon alive: %v", s.Log, s.Alive()),
		})
		e, err := c.Finish(ctx, "large")
		r.can(ctx, err == nil && bytes.Equal(e.Content, large), finding.Finding{
			Did: say("sent SIGHUP in mid-transfer"), Wants: say("the transfer goes on"),
			Saw: say("%d of %d bytes, %v, error: %v", len(e.Content), len(large), e.Last(), err),
		})
		r.mustServe(ctx, s, say("sent SIGHUP"))
		r.goesOn(harness.SendRaw(ctx, s.Queue, []byte("no request")), s, say("sent what is no request")) // logged, as no file need be
		r.must(eventually(ctx, func() bool { return logSize(s) > 0 }), finding.Finding{
			Did: say("sent SIGHUP, then what is no request"), Wants: say("its line is in the new log"), Saw: say("%v is empty", s.Log),
		})
	})
	It("appends to the log that is there, and keeps nothing of the old one", func(ctx SpecContext) {
		s := r.start(ctx)
		r.mustServe(ctx, s, say("started it"))
		r.reopened(ctx, s) // what the first time opens for good is there from now on
		before := r.openFiles(ctx, s)
		for range 20 {
			r.reopened(ctx, s)
		}
		open, ok := r.eventuallyOpen(ctx, s, before)
		r.must(ok, finding.Finding{
			Did: say("renamed the log and sent SIGHUP, 20 times"), Wants: say("%d descriptors, as before", before),
			Saw: say("%d in %s\n%s", open, s.Process.Path("fd"), strings.Join(r.opened(s, filepath.Dir(s.Log)), "\n")),
		})
		var old []string // it may still be open when the new one is there
		closed := eventually(ctx, func() bool {
			old = slices.DeleteFunc(r.opened(s, filepath.Dir(s.Log)), func(fd string) bool { return !strings.Contains(fd, s.Log+".1") })
			return len(old) == 0
		})
		r.must(closed, finding.Finding{
			Did: say("renamed the log and sent SIGHUP"), Wants: say("the old one is closed"), Saw: say("%v", strings.Join(old, "\n")),
		})
		content, err := os.ReadFile(s.Log)
		Expect(err).NotTo(HaveOccurred())
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
		r.must(err == nil && strings.HasPrefix(string(now), kept) && inodeOf(s.Log) == inode, finding.Finding{
			Did:   say("sent SIGHUP without renaming the log, which had %d bytes, then asked for a file: %s", len(kept), e.Summary()),
			Wants: say("it is appended to: what was there stays"),
			Saw:   say("%d bytes: %.200q, error: %v; the same file: %v", len(now), now, err, inodeOf(s.Log) == inode),
			Cause: say("open(2) with O_TRUNC or without O_APPEND; or the file is made anew"),
		})
	})
	It("interrupts nothing however often it comes", func(ctx SpecContext) {
		s := r.start(ctx)
		r.mustServe(ctx, s, say("started it"))
		Expect(s.WriteFile("large", large)).To(Succeed())
		c := client(harness.Shape{Depth: 4, MsgSize: 4096})
		r.goesOn(c.Request(ctx, s.Queue, "large"), s, say("asked for a large file"))
		var content []byte
		var err error
		for range 100 {
			s.Signal(unix.SIGHUP)
			var e harness.Exchange
			if e, err = c.Begin(ctx, 1); err != nil {
				break
			}
			content = append(content, e.Content...)
		}
		var rest harness.Exchange
		if err == nil {
			rest, err = c.Finish(ctx, "large")
			content = append(content, rest.Content...)
		}
		r.can(ctx, err == nil && bytes.Equal(content, large), finding.Finding{
			Did: say("sent SIGHUP 100 times in the middle of a transfer, once for each message"), Wants: say("the whole file"),
			Saw:   say("%d of %d bytes, %v, error: %v, daemon alive: %v", len(content), len(large), rest.Last(), err, s.Alive()),
			Cause: say("a call that the signal has interrupted (EINTR) is taken for one that failed"),
		})
		r.mustServe(ctx, s, say("sent SIGHUP 100 times"))
	})
})

// reopened renames the log, sends SIGHUP and waits for a new one.
func (r row) reopened(ctx context.Context, s *harness.Server) {
	GinkgoHelper()
	r.must(r.reopens(ctx, s), finding.Finding{
		Did: say("renamed the log and sent SIGHUP"), Wants: say("the log is there again under its name"),
		Saw: say("no %s; daemon alive: %v", s.Log, s.Alive()),
	})
}

// opened lists the daemon's descriptors that lead below a directory.
func (r row) opened(s *harness.Server, dir string) (list []string) {
	GinkgoHelper()
	fds, err := s.Process.Descriptors()
	r.goesOn(err, s, say("read %v", s.Process.Path("fd")))
	for _, fd := range fds {
		if strings.HasPrefix(fd.Target, dir+"/") {
			list = append(list, s.Process.Path("fd")+"/"+fd.String())
		}
	}
	return list
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func inodeOf(path string) uint64 {
	var st unix.Stat_t
	unix.Stat(path, &st)
	return st.Ino
}

var _ = Row("sigterm", func(r row) {
	It("ends at once when it is idle, and leaves nothing", func(ctx SpecContext) {
		s := r.start(ctx)
		begin := time.Now()
		r.mustEnd(ctx, s, begin, 2*time.Second)
	})
	It("lets a transfer finish", func(ctx SpecContext) {
		s := r.start(ctx)
		content := large[:64<<10] // more takes a slow reader longer than the 5 s
		Expect(s.WriteFile("large", content)).To(Succeed())
		c := r.stuckClient(ctx, s, int32(os.Getpid()))
		harness.HeldUp()
		begin := time.Now()
		r.goesOn(s.Signal(unix.SIGTERM), s, say("sent SIGTERM"))
		// Most servers unlink the queue first, but any order is right: then nothing tells that the server stops.
		soon, cancel := harness.WithTimeout(ctx, harness.Slack/2)
		eventually(soon, func() bool { return !harness.QueueExists(s.Queue) })
		cancel()
		e, err := c.Finish(ctx, "large")
		whole := err == nil && bytes.Equal(e.Content, content)
		if held := harness.HeldUp(); !whole && held > time.Second {
			heldUp(say("this machine held up processes for %v, and a server may end transfers 5 s after SIGTERM", held))
		}
		r.can(ctx, whole, finding.Finding{
			Did: say("sent SIGTERM in mid-transfer, then read on"), Wants: say("the transfer may finish within 5 s"),
			Saw: say("%d of %d bytes, %v, error: %v", len(e.Content), len(content), e.Last(), err),
		})
		r.mustEnd(ctx, s, begin, 6*time.Second)
	})
	It("ends within 6 s when a client takes nothing, serves nobody else, and tells those that it cuts", func(ctx SpecContext) {
		s := r.start(ctx)
		Expect(s.WriteFile("large", large)).To(Succeed())
		r.stuckClient(ctx, s, int32(os.Getpid()))
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
		r.mustEndSince(ctx, s, begin, watch, 6*time.Second)
		answer, answered := late.Pending()
		r.must(asked != nil || !answered || answer.Kind == wire.Failure, finding.Finding{
			Did: say("sent SIGTERM in mid-transfer, and 2 s later a request"), Wants: say("no answer, or FAILURE: it takes no more requests"),
			Saw: say("%v", answer),
		})
		for _, c := range slow {
			e := c.TakeAll()
			told := slices.ContainsFunc(e.Messages, func(m harness.Message) bool { return m.Kind == wire.Failure || m.Kind == wire.End })
			r.must(told || len(e.Messages) >= c.Shape.Depth, finding.Finding{
				Did:   say("sent SIGTERM in mid-transfer, and emptied the reply queue before the 5 s were over"),
				Wants: say("FAILURE, since the transfer is cut and there is room for it"),
				Saw:   say("%s; the queue has %d messages", e.Summary(), c.Shape.Depth),
				Cause: say("a thread whose transfer is cut returns silently; or the process ends while its threads still send"),
			})
		}
	})
	It("ends in order when SIGTERM comes twice, and in the middle of log lines", func(ctx SpecContext) {
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
			Expect(s.WriteFile("large", large[:64<<10])).To(Succeed())
			c := r.stuckClient(ctx, s, int32(os.Getpid()))
			begin := time.Now()
			for _, sig := range signals {
				s.Signal(sig)
				delivered(ctx, s, sig)
			}
			if s.Alive() {
				c.Finish(ctx, "large")
			}
			r.mustEndSince(ctx, s, begin, harness.NewStopwatch(), 2*time.Second)
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
	GinkgoHelper()
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
	isFull := func(c *harness.Client) bool {
		n, err := c.Waiting()
		return err == nil && n == c.Shape.Depth
	}
	clients = slices.DeleteFunc(clients, func(c *harness.Client) bool { return !isFull(c) })
	for _, c := range clients {
		c.Pending()
	}
	soon, cancel := harness.WithTimeout(ctx, harness.Slack/5)
	defer cancel()
	eventually(soon, func() bool { return !slices.ContainsFunc(clients, func(c *harness.Client) bool { return !isFull(c) }) })
	return slices.DeleteFunc(clients, func(c *harness.Client) bool { return !isFull(c) })
}

// mustEnd sends SIGTERM, once more if it was sent before, and proves that the daemon ends in time and leaves nothing.
func (r row) mustEnd(ctx context.Context, s *harness.Server, begin time.Time, limit time.Duration) {
	GinkgoHelper()
	s.Signal(unix.SIGTERM)
	r.mustEndSince(ctx, s, begin, harness.NewStopwatch(), limit)
}

// delivered waits until the daemon has a signal: of two that are pending together it gets one.
func delivered(ctx context.Context, s *harness.Server, sig unix.Signal) {
	ctx, cancel := harness.WithTimeout(ctx, harness.Slack/5)
	defer cancel()
	eventually(ctx, func() bool {
		status, err := s.Process.Status()
		return err != nil || !status.ShdPnd.Has(sig)
	})
}

func waitForEnd(ctx context.Context, s *harness.Server, limit time.Duration) (unix.WaitStatus, error) {
	ctx, cancel := harness.WithTimeout(ctx, limit)
	defer cancel()
	return s.WaitForEnd(ctx)
}

// mustEndSince waits for the end until the limit has passed on the watch, and some times longer while the daemon works: a
// disk that others keep busy may hold it up.
func (r row) mustEndSince(ctx context.Context, s *harness.Server, begin time.Time, watch harness.Stopwatch, limit time.Duration) {
	GinkgoHelper()
	status, err := waitForEnd(ctx, s, watch.Left(limit+harness.Slack))
	for s.Works(); errors.Is(err, context.DeadlineExceeded) && watch.Within(4*limit); {
		if status, err = waitForEnd(ctx, s, harness.Slack/5); err != nil && !s.Works() {
			break
		}
	}
	took := time.Since(begin).Round(time.Millisecond)
	r.must(!errors.Is(err, context.DeadlineExceeded), finding.Finding{
		Did: say("sent SIGTERM"), Wants: say("the daemon ends within %v", limit), Saw: say("it still runs after %v", took),
	})
	Expect(err).NotTo(HaveOccurred())
	var killed rubric.Text
	if status.Signaled() {
		killed = say("; %s has ended it", unix.SignalName(status.Signal()))
	}
	r.must(!harness.QueueExists(s.Queue), finding.Finding{
		Did: say("sent SIGTERM"), Wants: say("the request queue is unlinked"), Saw: say("queue %v is still there%v", s.Queue, killed),
	})
	content, err := os.ReadFile(s.PIDFile)
	r.must(err != nil || len(content) == 0, finding.Finding{
		Did: say("sent SIGTERM"), Wants: say("the PID file is removed, or emptied where the account may not remove it"),
		Saw: say("%s holds %q%v", s.PIDFile, content, killed),
	})
}

var _ = Row("leaks", func(r row) {
	It("is where it was after thousands of requests, good and bad", func(ctx SpecContext) {
		s := r.start(ctx)
		Expect(s.WriteFile("file", random(1000))).To(Succeed())
		c := client(harness.Small)
		r.load(ctx, s, c, 200)
		files, before := r.openFiles(ctx, s), r.status(s)
		const requests = 800
		r.load(ctx, s, c, requests)
		open, ok := r.eventuallyOpen(ctx, s, files)
		r.can(ctx, ok || open > files, finding.Finding{
			Did: say("made %d requests", requests), Wants: say("it has no children"), Saw: say("it has some"),
		})
		r.can(ctx, ok, finding.Finding{
			Did:   say("made %d requests: for a file, for a missing one, malformed ones, to a missing queue", requests),
			Wants: say("as many descriptors as before"), Saw: say("%d, there were %d:\n%s", open, files, s.Process.Path("fd")),
		})
		var after = r.status(s)
		fewThreads := eventually(ctx, func() bool {
			after = r.status(s)
			return after.Threads <= before.Threads+8
		})
		r.can(ctx, fewThreads, finding.Finding{
			Did: say("made %d requests", requests), Wants: say("threads are where they were"),
			Saw: say("%s: Threads: %d; before: %d", s.Process.Path("status"), after.Threads, before.Threads),
		})
	})
	for _, kind := range []struct {
		name rubric.Text
		make func(r row, ctx context.Context, s *harness.Server, c *harness.Client, n int)
	}{
		{say("requests that are dropped"), row.makeDropped}, {say("requests for a file"), row.makeServed},
		{say("requests for a missing file"), row.makeMissing},
	} {
		It("keeps no memory of "+kind.name.EN, func(ctx SpecContext) {
			s := r.start(ctx)
			Expect(s.WriteFile("file", random(1000))).To(Succeed())
			c := client(harness.Small)
			kind.make(r, ctx, s, c, 200)
			// A runtime that collects its garbage grows for a while, and is then where it was. What a server keeps of each
			// request makes it grow by as much again in a second run, and in a third.
			const most = 4 << 20
			const requests = most / 3200 // a whole request is more
			memory := r.status(s).VmRSS
			var grown []string
			for range 3 {
				kind.make(r, ctx, s, c, requests)
				now := r.status(s).VmRSS
				if now <= memory+most {
					return
				}
				grown = append(grown, fmt.Sprintf("%d kB", (now-memory)>>10))
				memory = now
			}
			r.can(ctx, false, finding.Finding{
				Did: say("made %d %v, three times", requests, kind.name), Wants: say("memory is where it was"),
				Saw: say("%s: VmRSS has grown by %s", s.Process.Path("status"), strings.Join(grown, ", ")),
			})
		})
	}
})

// makeDropped sends requests that are dropped for one reason or the other, and waits until they are.
func (r row) makeDropped(ctx context.Context, s *harness.Server, c *harness.Client, n int) {
	GinkgoHelper()
	lost, err := wire.Request{PID: int32(os.Getpid()), Reply: "/no-such-queue", Path: strings.Repeat("p", 4095)}.Append(nil)
	Expect(err).NotTo(HaveOccurred())
	for range n {
		for _, message := range [][]byte{lost, lost[:len(lost)-1]} {
			r.goesOn(harness.SendRaw(ctx, s.Queue, message), s, say("sent a request that is dropped"))
		}
	}
	r.fetch(ctx, c, s, "file")
}

func (r row) makeServed(ctx context.Context, s *harness.Server, c *harness.Client, n int) {
	GinkgoHelper()
	for range n {
		r.fetch(ctx, c, s, "file")
	}
}

func (r row) makeMissing(ctx context.Context, s *harness.Server, c *harness.Client, n int) {
	GinkgoHelper()
	for range n {
		r.fetch(ctx, c, s, "missing")
	}
}

// load makes a mix of requests and waits for the answers of those that get one.
func (r row) load(ctx context.Context, s *harness.Server, c *harness.Client, requests int) {
	GinkgoHelper()
	lost, err := wire.Request{PID: int32(os.Getpid()), Reply: "/no-such-queue", Path: "file"}.Append(nil)
	Expect(err).NotTo(HaveOccurred())
	for i := range requests {
		switch i % 4 {
		case 0, 1:
			r.fetch(ctx, c, s, "file")
		case 2:
			r.fetch(ctx, c, s, "missing")
		case 3:
			r.goesOn(harness.SendRaw(ctx, s.Queue, lost[:len(lost)-i/4%2]), s, say("sent a malformed request"))
		}
	}
	r.fetch(ctx, c, s, "file")
}
