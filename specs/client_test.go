package specs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/wire"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

func fakeServer() *harness.FakeServer {
	GinkgoHelper()
	f, err := harness.NewFakeServer()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(f.Close)
	return f
}

// ask starts the client on a fake server and takes its request.
func (r row) ask(ctx context.Context, f *harness.FakeServer, args ...string) (*harness.Running, *harness.Conversation) {
	GinkgoHelper()
	args = append([]string{"--queue", f.Queue}, args...)
	c := r.startClient(args...)
	return c, r.accept(ctx, f, c, args)
}

// judgesRequests is the row whose fault a malformed request is.
const judgesRequests = "output"

// accept takes the request of a client that was started with these arguments.
func (r row) accept(ctx context.Context, f *harness.FakeServer, c *harness.Running, args []string) *harness.Conversation {
	GinkgoHelper()
	limited, cancel := harness.WithTimeout(ctx, harness.Patience)
	defer cancel()
	harness.HeldUp()
	conversation, err := f.Accept(limited, args[len(args)-1])
	if held := harness.HeldUp(); errors.Is(err, context.DeadlineExceeded) && held > harness.Slack {
		c.End()
		heldUp(say("this machine held up processes for %v, and a client had sent no request", held))
	}
	if err != nil {
		wrong := finding.Finding{
			Did: say("started mqfile %v", strings.Join(args, " ")), Wants: say("a well-formed request comes, and its reply queue is there"),
			Saw: say("%v; %v", err, c.End()),
		}
		if errors.Is(err, harness.ErrMalformed) {
			wrong.Do = say("a request is int32_t pid, char reply[256], char path[4096], sent up to and with the path's NUL")
			if r.ID != judgesRequests {
				wrong.See = judgesRequests
			}
		}
		r.fail(wrong)
	}
	DeferCleanup(conversation.Close)
	return conversation
}

// send answers; a client that has ended does not take it.
func (r row) send(ctx context.Context, conversation *harness.Conversation, kind uint, body []byte) {
	GinkgoHelper()
	err := conversation.Send(ctx, kind, body)
	judgeableBy(conversation, err == nil)
	r.must(err == nil, finding.Finding{
		Did: say("answered %v", say("%v", harness.Message{Kind: kind, Body: body})), Wants: say("the client takes it"), Saw: say("%v", err),
	})
}

// judgeableBy ends a spec in which this machine has held up the suite for as long as a client has to wait for a server.
func judgeableBy(conversation *harness.Conversation, ok bool) {
	GinkgoHelper()
	if !ok && conversation.Silence > 8*time.Second {
		heldUp(say("the suite did not answer for %v, and a client may give up after 10 s", conversation.Silence.Round(time.Millisecond)))
	}
}

// endOf waits for the client's end after a conversation.
func endOf(ctx context.Context, c *harness.Running, conversation *harness.Conversation) harness.Ended {
	GinkgoHelper()
	e := within(ctx, c)
	judgeableBy(conversation, e.Exit != 3)
	return e
}

func within(ctx context.Context, c *harness.Running) harness.Ended {
	limited, cancel := harness.WithTimeout(ctx, harness.Patience)
	defer cancel()
	return c.Wait(limited)
}

var _ = Row("output", func(r row) {
	It("writes the file's bytes to stdout and their number to stderr", func(ctx SpecContext) {
		for _, content := range [][]byte{nil, []byte("x"), random(100_001)} {
			c, conversation := r.ask(ctx, fakeServer(), "file")
			r.must(conversation.Request.Path == "file", finding.Finding{
				Did: say("started mqfile file"), Wants: say("the request is for file"), Saw: say("it is for %q", conversation.Request.Path),
			})
			err := conversation.SendFile(ctx, content)
			e := endOf(ctx, c, conversation)
			r.must(err == nil && e.Exit == 0 && bytes.Equal(e.Stdout, content) &&
				strings.Contains(e.Stderr, fmt.Sprintf("Received %d bytes (", len(content))), finding.Finding{
				Did:   say("sent %d bytes as answer to mqfile file", len(content)),
				Wants: say("them on stdout, `Received %d bytes (M messages)` on stderr, exit status 0", len(content)),
				Saw:   say("%v", e),
			})
		}
	})
	It("writes a whole file with -o, over an older one", func(ctx SpecContext) {
		content := random(50_000)
		file := filepath.Join(place().Dir, "out")
		Expect(os.WriteFile(file, []byte("older"), 0o644)).To(Succeed())
		c, conversation := r.ask(ctx, fakeServer(), "-o", file, "file")
		r.send(ctx, conversation, wire.Info, wire.AppendInfo(nil, uint64(len(content))))
		r.send(ctx, conversation, wire.Data, content[:256])
		r.mustHold(file, "older", say("sent the first bytes of a file to mqfile -o"), say("the older file is there until all has come"))
		for rest := content[256:]; len(rest) > 0; {
			n := min(len(rest), conversation.MsgSize)
			r.send(ctx, conversation, wire.Data, rest[:n])
			rest = rest[n:]
		}
		r.send(ctx, conversation, wire.End, nil)
		e := endOf(ctx, c, conversation)
		got, err := os.ReadFile(file)
		r.must(e.Exit == 0 && err == nil && bytes.Equal(got, content) && len(e.Stdout) == 0, finding.Finding{
			Did: say("sent 50000 bytes to mqfile -o FILE"), Wants: say("they are in the file, nothing on stdout"),
			Saw: say("%d bytes in the file, error: %v; %v", len(got), err, e),
		})
	})
	DescribeTable("leaves no file with -o, nor one beside it,",
		func(ctx SpecContext, end func(ctx context.Context, c *harness.Running, conversation *harness.Conversation)) {
			dir := filepath.Join(place().Dir, "out")
			Expect(os.Mkdir(dir, 0o755)).To(Succeed())
			c, conversation := r.ask(ctx, fakeServer(), "-o", filepath.Join(dir, "file"), "file")
			r.send(ctx, conversation, wire.Info, wire.AppendInfo(nil, 1000))
			r.send(ctx, conversation, wire.Data, random(256))
			eventually(ctx, conversation.IsTaken)
			end(ctx, c, conversation)
			e := endOf(ctx, c, conversation)
			entries, err := os.ReadDir(dir)
			r.must(e.Exit != 0 && err == nil && len(entries) == 0, finding.Finding{
				Did: say("sent INFO 1000 and 256 bytes to mqfile -o FILE, and let it end"), Wants: say("no file, not even in part or under another name"),
				Saw: say("files: %.300v; %v", entries, e),
			})
		},
		Entry("when the server fails in the middle", func(ctx context.Context, c *harness.Running, conversation *harness.Conversation) {
			conversation.Send(ctx, wire.Failure, []byte("read error"))
		}),
		Entry("when the server ends too early", func(ctx context.Context, c *harness.Running, conversation *harness.Conversation) {
			conversation.Send(ctx, wire.End, nil)
		}),
		Entry("after SIGINT", func(ctx context.Context, c *harness.Running, conversation *harness.Conversation) {
			c.Signal(unix.SIGINT)
		}),
		Entry("after SIGTERM", func(ctx context.Context, c *harness.Running, conversation *harness.Conversation) {
			c.Signal(unix.SIGTERM)
		}),
	)
	It("fails when the bytes are not as many as INFO says", func(ctx SpecContext) {
		for _, said := range []struct {
			info uint64
			sent int
		}{{100, 0}, {100, 99}, {100, 101}, {1<<32 + 5, 5}, {1<<31 + 5, 5}} {
			c, conversation := r.ask(ctx, fakeServer(), "file")
			r.send(ctx, conversation, wire.Info, wire.AppendInfo(nil, said.info))
			if said.sent > 0 {
				r.send(ctx, conversation, wire.Data, random(said.sent))
			}
			conversation.Send(ctx, wire.End, nil)
			e := endOf(ctx, c, conversation)
			r.must(e.Exit != 0 && strings.HasPrefix(e.Stderr, "mqfile: "), finding.Finding{
				Did:   say("sent INFO %d, %d bytes and END", said.info, said.sent),
				Wants: say("a non-zero exit status and the reason on stderr"), Saw: say("%v", e),
			})
		}
	})
	It("fails when the bytes cannot be written", func(ctx SpecContext) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		Expect(err).NotTo(HaveOccurred())
		defer full.Close()
		for _, content := range [][]byte{[]byte("x"), random(200)} { // no more than any reply queue holds: it may end at the first
			f := fakeServer()
			c, err := programs.StartClientTo(full, "--queue", f.Queue, "file")
			r.must(err == nil, finding.Finding{Did: say("started mqfile"), Wants: say("it can be executed"), Saw: say("%v", err)})
			conversation := r.accept(ctx, f, c, []string{"file"})
			conversation.SendFile(ctx, content)
			e := endOf(ctx, c, conversation)
			r.must(e.Exit == 1 && strings.HasPrefix(e.Stderr, "mqfile: "), finding.Finding{
				Did:   say("sent %d bytes to a client whose stdout is /dev/full, see full(4)", len(content)),
				Wants: say("exit status 1 and the reason on stderr"), Saw: say("%v", e),
				Cause: say("write(2) is not checked; or what is in a buffer is written only at the end, by fclose(3), and that is not checked"),
			})
		}
	})
})

func (r row) mustHold(file, content string, did, wants rubric.Text) {
	GinkgoHelper()
	got, err := os.ReadFile(file)
	r.must(err == nil && string(got) == content, finding.Finding{
		Did: did, Wants: wants, Saw: say("%s holds %d bytes: %.20q, error: %v", file, len(got), got, err),
	})
}

var _ = Row("exit", func(r row) {
	It("returns 1 and tells the text when the server says FAILURE", func(ctx SpecContext) {
		c, conversation := r.ask(ctx, fakeServer(), "file")
		r.send(ctx, conversation, wire.Failure, []byte("no such file, señor"))
		e := endOf(ctx, c, conversation)
		r.must(e.Exit == 1 && strings.Contains(e.Stderr, "mqfile: ") && strings.Contains(e.Stderr, "no such file, señor"), finding.Finding{
			Did: say("answered FAILURE \"no such file, señor\""), Wants: say("exit status 1 and the text after `mqfile: ` on stderr"), Saw: say("%v", e),
		})
	})
	It("returns 2 and explains wrong usage", func(ctx SpecContext) {
		for _, args := range [][]string{{}, {"--no-such-flag", "file"}, {"--queue"}, {"one", "two"}} {
			e := r.client(ctx, args...)
			r.must(e.Exit == 2 && e.Stderr != "", finding.Finding{
				Did: say("started mqfile %v", say("%v", strings.Join(args, " "))), Wants: say("usage on stderr, exit status 2"), Saw: say("%v", e),
			})
		}
	})
	It("returns 3 when there is no server", func(ctx SpecContext) {
		e := r.client(ctx, "--queue="+harness.QueueName("nobody"), "file")
		r.must(e.Exit == 3 && strings.HasPrefix(e.Stderr, "mqfile: "), finding.Finding{
			Did: say("named a queue that does not exist"), Wants: say("exit status 3 and the reason on stderr"), Saw: say("%v", e),
		})
	})
	It("returns 3 when nothing comes for 10 s, and waits for as long as something does", func(ctx SpecContext) {
		// All at the same time, since it takes 10 s. A client may begin to count as soon as the suite has begun to act, so
		// no moment is noted later than that: the next client may be slow to start.
		asked := time.Now()
		silent, _ := r.ask(ctx, fakeServer(), "file")
		stopped, begun := r.ask(ctx, fakeServer(), "file")
		r.send(ctx, begun, wire.Info, wire.AppendInfo(nil, 3))
		slow, slowly := r.ask(ctx, fakeServer(), "file")
		r.send(ctx, slowly, wire.Info, wire.AppendInfo(nil, 2))
		begin := time.Now()
		at := func(d time.Duration) { <-time.After(time.Until(begin.Add(d))) }
		at(500 * time.Millisecond)
		last := time.Now()
		begun.Send(ctx, wire.Data, []byte("x"))
		at(3500 * time.Millisecond)
		slowly.Send(ctx, wire.Data, []byte("x"))
		at(7 * time.Second)
		slowly.Send(ctx, wire.Data, []byte("y"))
		limited, cancel := harness.WithTimeout(ctx, 5*time.Second+harness.Slack)
		defer cancel()
		r.mustBeSilence(silent.Wait(limited), asked, say("took its request and answered nothing"))
		at(10700 * time.Millisecond) // what counts from INFO, or from the start, has ended
		slowly.Send(ctx, wire.End, nil)
		r.mustBeSilence(stopped.Wait(limited), last, say("answered INFO and DATA, and nothing more"))
		e := endOf(ctx, slow, slowly)
		r.must(e.Exit == 0 && string(e.Stdout) == "xy", finding.Finding{
			Did:   say("answered INFO, DATA after 3.5 s and after 7 s, END after 10.7 s"),
			Wants: say("the file: the 10 s count from one response to the next"), Saw: say("%v", e),
		})
	})
	It("returns 1 when what comes is no response", func(ctx SpecContext) {
		info := wire.AppendInfo(nil, 1)
		for what, messages := range map[rubric.Text][]harness.Message{
			say("INFO of 4 bytes"):              {{Kind: wire.Info, Body: info[:4]}},
			say("INFO twice"):                   {{Kind: wire.Info, Body: info}, {Kind: wire.Info, Body: info}},
			say("DATA without INFO"):            {{Kind: wire.Data, Body: []byte("x")}},
			say("END without INFO"):             {{Kind: wire.End}},
			say("a message of priority 7"):      {{Kind: 7, Body: info}},
			say("a message of priority 0"):      {{Kind: wire.Info, Body: info}, {Kind: 0, Body: []byte("x")}},
			say("FAILURE in the middle of all"): {{Kind: wire.Info, Body: info}, {Kind: wire.Data, Body: []byte("x")}, {Kind: wire.Failure, Body: []byte("no")}},
		} {
			c, conversation := r.ask(ctx, fakeServer(), "file")
			for _, m := range messages {
				conversation.Send(ctx, m.Kind, m.Body) // it may have ended at the one before
			}
			e := endOf(ctx, c, conversation)
			r.must(e.Exit == 1 && strings.HasPrefix(e.Stderr, "mqfile: "), finding.Finding{
				Did: say("answered %v", what), Wants: say("exit status 1 and the reason after `mqfile: ` on stderr"), Saw: say("%v", e),
			})
		}
	})
	It("returns 130 on SIGINT and 143 on SIGTERM", func(ctx SpecContext) {
		for sig, status := range map[unix.Signal]int{unix.SIGINT: 130, unix.SIGTERM: 143} {
			c, _ := r.ask(ctx, fakeServer(), "file")
			r.must(c.Signal(sig) == nil, finding.Finding{
				Did: say("took its request and answered nothing"), Wants: say("it waits"), Saw: say("it has ended: %v", say("%v", c.Wait(ctx))),
			})
			e := within(ctx, c)
			r.must(e.Exit == status, finding.Finding{
				Did: say("sent %s while it waits", unix.SignalName(sig)), Wants: say("exit status %d", status), Saw: say("%v", e),
			})
		}
	})
})

// mustBeSilence is about a client that got nothing from some moment on.
func (r row) mustBeSilence(e harness.Ended, since time.Time, did rubric.Text) {
	GinkgoHelper()
	took := time.Since(since).Round(time.Millisecond)
	r.must(e.Exit == 3 && took > 9*time.Second, finding.Finding{
		Did: did, Wants: say("exit status 3 after 10 s"), Saw: say("%v after %v", e, took),
	})
}

func (r row) client(ctx context.Context, args ...string) harness.Ended {
	GinkgoHelper()
	return within(ctx, r.startClient(args...))
}

func (r row) startClient(args ...string) *harness.Running {
	GinkgoHelper()
	c, err := programs.StartClient(args...)
	r.must(err == nil, finding.Finding{
		Did: say("started mqfile %v", say("%v", strings.Join(args, " "))), Wants: say("it can be executed"), Saw: say("%v", err),
	})
	return c
}

var _ = Row("cleanup", func(r row) {
	It("makes its reply queue for itself, with mode 0622 and a name nobody guesses", func(ctx SpecContext) {
		names := map[string]bool{}
		for range 3 {
			c, conversation := r.ask(ctx, fakeServer(), "file")
			names[strings.ReplaceAll(conversation.Request.Reply, strconv.Itoa(c.PID), "PID")] = true
			r.must(conversation.Mode == wire.QueueMode && int(conversation.Request.PID) == c.PID, finding.Finding{
				Did: say("looked at the request and its reply queue"), Wants: say("mode 0622 whatever the umask, and the client's PID"),
				Saw: say("%s has mode %#o; the request says PID %d, the client is PID %d", conversation.Request.Reply, conversation.Mode, conversation.Request.PID, c.PID),
			})
			r.send(ctx, conversation, wire.Failure, []byte("enough"))
			endOf(ctx, c, conversation)
		}
		r.must(len(names) == 3, finding.Finding{
			Did: say("started it 3 times"), Wants: say("another name each time, by more than its PID"), Saw: say("%v", names),
		})
	})
	It("unlinks the name when the first response has come", func(ctx SpecContext) {
		c, conversation := r.ask(ctx, fakeServer(), "file")
		reply := conversation.Request.Reply
		r.must(harness.QueueExists(reply), finding.Finding{
			Did: say("took its request"), Wants: say("the reply queue is there"), Saw: say("no queue %v", reply),
		})
		r.send(ctx, conversation, wire.Info, wire.AppendInfo(nil, 1))
		r.must(eventually(ctx, func() bool { return !harness.QueueExists(reply) }), finding.Finding{
			Did: say("answered INFO"), Wants: say("the reply queue's name is unlinked"), Saw: say("queue %v is still there", reply),
		})
		r.send(ctx, conversation, wire.Data, []byte("x"))
		r.send(ctx, conversation, wire.End, nil)
		e := endOf(ctx, c, conversation)
		r.must(e.Exit == 0 && string(e.Stdout) == "x", finding.Finding{
			Did: say("then sent the file"), Wants: say("it arrives: an unlinked queue lives on while somebody has it open"), Saw: say("%v", e),
		})
	})
	DescribeTable("leaves no queue",
		func(ctx SpecContext, end func(ctx context.Context, c *harness.Running, conversation *harness.Conversation)) {
			c, conversation := r.ask(ctx, fakeServer(), "file")
			end(ctx, c, conversation)
			e := endOf(ctx, c, conversation)
			reply := conversation.Request.Reply
			did := say("let the client end")
			if e.Exit > 128 {
				did = say("sent the client %s", unix.SignalName(unix.Signal(e.Exit-128)))
			}
			r.must(!harness.QueueExists(reply), finding.Finding{
				Did: did, Wants: say("no queue of its own is left"), Saw: say("queue %s is there; %v", reply, e),
			})
		},
		Entry("after success", func(ctx context.Context, c *harness.Running, conversation *harness.Conversation) {
			conversation.SendFile(ctx, []byte("x"))
		}),
		Entry("after FAILURE", func(ctx context.Context, c *harness.Running, conversation *harness.Conversation) {
			conversation.Send(ctx, wire.Failure, []byte("no"))
		}),
		Entry("after SIGINT", func(ctx context.Context, c *harness.Running, conversation *harness.Conversation) {
			c.Signal(unix.SIGINT)
		}),
		Entry("after SIGTERM", func(ctx context.Context, c *harness.Running, conversation *harness.Conversation) {
			c.Signal(unix.SIGTERM)
		}),
		Entry("after nonsense from the server", func(ctx context.Context, c *harness.Running, conversation *harness.Conversation) {
			conversation.Send(ctx, wire.End, []byte("nonsense"))
		}),
	)
})
