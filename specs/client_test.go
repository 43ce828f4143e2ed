package specs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/procfs"
	"daemonlab/lab/wire"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

// talk is a client under test that has sent its request to the spec, which is the server.
type talk struct {
	*harness.Conversation
	client *harness.Running
	row    row
}

// ask starts the client and takes its request.
func (r row) ask(ctx context.Context, args ...string) talk {
	return r.askTo(ctx, nil, args...)
}

// judgesRequests is the row whose fault a malformed request is.
const judgesRequests = "output"

// askTo starts the client with a file as stdout, and takes its request.
func (r row) askTo(ctx context.Context, stdout *os.File, args ...string) talk {
	f := must(harness.NewFakeServer())
	return r.askAt(ctx, f, stdout, append([]string{"--queue", f.Queue}, args...)...)
}

// askAt starts the client of a server and takes its request.
func (r row) askAt(ctx context.Context, f *harness.FakeServer, stdout *os.File, args ...string) talk {
	DeferCleanup(f.Close)
	c := r.startClient(stdout, args...)
	limited, cancel := harness.WithTimeout(ctx, harness.Patience)
	defer cancel()
	harness.HeldUp()
	conversation, err := f.Accept(limited, args[len(args)-1])
	if held := harness.HeldUp(); errors.Is(err, context.DeadlineExceeded) && held > harness.Slack {
		c.End()
		heldUp(say("this machine held up processes for %v, and a client had not yet sent a request", held))
	}
	if err != nil {
		wrong := found(say("started mqfile %v", finding.Args(args)),
			say("a well-formed request arrives, and its reply queue exists"), say("%v; %v", err, c.End()))
		if errors.Is(err, context.DeadlineExceeded) {
			wrong.Do = say("make the reply queue, open the queue that --queue names, and send one struct request to it")
		}
		if errors.Is(err, harness.ErrMalformed) {
			wrong.Do = say("a request is int32_t pid, char reply[256], char path[4096], sent up to and including " +
				"the path's NUL")
			if r.ID != judgesRequests {
				wrong.See = judgesRequests
			}
		}
		r.fail(wrong)
	}
	DeferCleanup(conversation.Close)
	return talk{conversation, c, r}
}

// mustSend answers; a client that has ended does not take it.
func (t talk) mustSend(ctx context.Context, kind uint, body []byte) {
	err := t.Send(ctx, kind, body)
	t.judgeable(err == nil)
	t.row.must(err == nil, say("answered %v", harness.Message{Kind: kind, Body: body}), say("the client receives it"),
		say("%v", err))
}

// judgeable ends a spec in which this machine has held up the suite for as long as a client has to wait for a server.
func (t talk) judgeable(ok bool) {
	if !ok && t.Silence > 8*time.Second {
		heldUp(say("the suite did not answer for %v, and a client may give up after 10 s",
			t.Silence.Round(time.Millisecond)))
	}
}

// end waits for the client's end.
func (t talk) end(ctx context.Context) harness.Ended {
	e := endOf(ctx, t.client)
	t.judgeable(e.Exit != 3)
	return e
}

func endOf(ctx context.Context, c *harness.Running) harness.Ended {
	limited, cancel := harness.WithTimeout(ctx, harness.Patience)
	defer cancel()
	return c.Wait(limited)
}

// endServed starts a client that [row.served] serves.
func (r row) endServed(ctx context.Context, f *harness.FakeServer, args ...string) harness.Ended {
	return r.served(ctx, f, r.startClient(nil, args...))
}

// served answers a client's request, if one comes, by the file "x", and waits for its end.
func (r row) served(ctx context.Context, f *harness.FakeServer, c *harness.Running) harness.Ended {
	asked, cancel := context.WithCancel(ctx)
	var answered sync.WaitGroup
	answered.Go(func() {
		if t, err := f.Accept(asked, "file"); err == nil {
			t.SendFile(asked, []byte("x"))
			t.Close()
		}
	})
	e := endOf(ctx, c)
	cancel()
	answered.Wait()
	return e
}

// volume mounts a file system for the spec. It needs namespaces of its own.
func volume(options string) (dir string) {
	dir = filepath.Join(place().Dir, "volume")
	Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	Expect(unix.Mount("specs", dir, "tmpfs", 0, options)).To(Succeed())
	DeferCleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// answered and signaled are ways to end a client.
func answered(kind uint, body string) func(ctx context.Context, t talk) {
	return func(ctx context.Context, t talk) { t.Send(ctx, kind, []byte(body)) }
}

func signaled(sig unix.Signal) func(ctx context.Context, t talk) {
	return func(_ context.Context, t talk) { t.client.Signal(sig) }
}

var _ = Row("output", func(r row) {
	It("writes the file's bytes to stdout and their number to stderr", func(ctx SpecContext) {
		longest := strings.Repeat("p/", 2047) + "p" // 4095 bytes
		contents := [][]byte{nil, []byte("x"), random(100_001)}
		for i, path := range []string{"file", "x", longest} {
			t, content := r.ask(ctx, path), contents[i]
			r.must(t.Request.Path == path, say("started mqfile %.20q, a path of %d bytes", path, len(path)),
				say("the request names that path"), say("its path is %.20q, %d bytes", t.Request.Path,
					len(t.Request.Path)))
			err := t.SendFile(ctx, content)
			e := t.end(ctx)
			r.must(err == nil && e.Exit == 0 && bytes.Equal(e.Stdout, content) &&
				strings.Contains(e.Stderr, fmt.Sprintf("Received %d bytes (", len(content))),
				say("sent %d bytes as answer to mqfile file", len(content)),
				say("those bytes on stdout, `Received %d bytes (M messages)` on stderr, exit status 0", len(content)),
				say("%v", e))
			t.Close() // its queue counts against RLIMIT_MSGQUEUE
		}
	})
	It("asks at /mqfiled if no flag names a queue", func(ctx SpecContext) {
		needNamespaces()
		t := r.askAt(ctx, must(harness.NewFakeServerAt(wire.DefaultQueue)), nil, "file")
		t.SendFile(ctx, nil)
		e := t.end(ctx)
		r.must(e.Exit == 0, say("started mqfile file, without --queue"), say("exit status 0"), say("%v", e))
	})
	It("writes a whole file with -o, over an older one", func(ctx SpecContext) {
		content := random(50_000)
		file := filepath.Join(place().Dir, "out")
		Expect(os.WriteFile(file, []byte("older"), 0o644)).To(Succeed())
		t := r.ask(ctx, "-o", file, "file")
		t.mustSend(ctx, wire.Info, wire.AppendInfo(nil, uint64(len(content))))
		t.mustSend(ctx, wire.Data, content[:256])
		got, err := os.ReadFile(file)
		r.must(err == nil && string(got) == "older",
			say("sent the first bytes of a file to mqfile -o"),
			say("the older file stays until everything has arrived"),
			say("%s holds %d bytes: %.20q, error: %v", file, len(got), got, err))
		for piece := range slices.Chunk(content[256:], t.MsgSize) {
			t.mustSend(ctx, wire.Data, piece)
		}
		t.mustSend(ctx, wire.End, nil)
		e := t.end(ctx)
		got, err = os.ReadFile(file)
		r.must(e.Exit == 0 && err == nil && bytes.Equal(got, content) && len(e.Stdout) == 0,
			say("sent 50000 bytes to mqfile -o FILE"), say("they are in the file, nothing on stdout"),
			say("%d bytes in the file, error: %v; %v", len(got), err, e))
	})
	It("writes the file of -o wherever that is", func(ctx SpecContext) {
		f := must(harness.NewFakeServer())
		defer f.Close()
		dir := filepath.Join(place().Dir, "out")
		Expect(os.Mkdir(dir, 0o755)).To(Succeed())
		did := []rubric.Text{say("named by -o a relative name"), say("named by -o a file in another place")}
		files := []string{"relative", filepath.Join(dir, "file")}
		if harness.OwnNamespaces() {
			did = append(did, say("named by -o a file on another file system"))
			files = append(files, filepath.Join(volume(""), "file"))
		}
		for i, file := range files {
			c, err := programs.StartClientIn(dir, nil, "--queue", f.Queue, "-o", file, "file")
			r.must(err == nil, did[i], say("it can be executed"), say("%v", err))
			e := r.served(ctx, f, c)
			if !filepath.IsAbs(file) {
				file = filepath.Join(dir, file)
			}
			content, err := os.ReadFile(file)
			r.must(e.Exit == 0 && string(content) == "x", did[i], say("the file has the bytes, exit status 0"),
				say("%.100q, error: %v; %v", content, err, e),
				say("rename(2) works only inside a file system: the temporary file goes in the directory of the other"))
		}
	})
	It("fails when the file system of -o is full, and leaves no file", func(ctx SpecContext) {
		needNamespaces()
		const size = 7*8192 + 4096 // a write(2) of 8192 bytes ends in the middle
		dir := volume(fmt.Sprintf("size=%d", size))
		t := r.ask(ctx, "-o", filepath.Join(dir, "file"), "file")
		t.SendFile(ctx, random(size+1000))
		e := t.end(ctx)
		left := must(os.ReadDir(dir))
		r.must(e.Exit == 1 && strings.HasPrefix(e.Stderr, "mqfile: ") && len(left) == 0,
			say("sent more bytes to mqfile -o FILE than its file system has room for"),
			say("exit status 1, the reason on stderr, and no file"), say("files: %.300v; %v", left, e),
			say("write(2) returns how many bytes it has written, which may be fewer than asked for"))
	})
	It("writes whole files when two clients write the same one", func(ctx SpecContext) {
		file := filepath.Join(place().Dir, "out")
		first := r.ask(ctx, "-o", file, "file")
		f := must(harness.NewFakeServer())
		defer f.Close()
		other := r.startClient(nil, "--queue", f.Queue, "-o", file, "file")
		soon, cancel := harness.WithTimeout(ctx, harness.Slack)
		defer cancel()
		conversation, err := f.Accept(soon, "file")
		if err != nil {
			other.End()
			return // it takes turns
		}
		defer conversation.Close()
		second := talk{conversation, other, r}
		contents := [][]byte{bytes.Repeat([]byte("1"), 512), bytes.Repeat([]byte("2"), 512)}
		for i, t := range []talk{first, second} {
			t.mustSend(ctx, wire.Info, wire.AppendInfo(nil, 512))
			t.mustSend(ctx, wire.Data, contents[i][:256])
			eventually(ctx, t.IsTaken)
		}
		for i, t := range []talk{first, second} {
			t.mustSend(ctx, wire.Data, contents[i][256:])
			t.mustSend(ctx, wire.End, nil)
			e := t.end(ctx)
			got, err := os.ReadFile(file)
			r.must(e.Exit != 0 || bytes.Equal(got, contents[i]),
				say("started two clients with the same file for -o, and answered both in turns"),
				say("each that returns 0 has written its file, whole"), say("%d bytes: %.20q..., error: %v; %v", len(got), got, err, e),
				say("both write to the same temporary file: give it a random name, and open it with O_EXCL"))
		}
	})
	DescribeTable("leaves no file with -o, nor one beside it,",
		func(ctx SpecContext, end func(ctx context.Context, t talk)) {
			dir := filepath.Join(place().Dir, "out")
			Expect(os.Mkdir(dir, 0o755)).To(Succeed())
			t := r.ask(ctx, "-o", filepath.Join(dir, "file"), "file")
			t.mustSend(ctx, wire.Info, wire.AppendInfo(nil, 1000))
			t.mustSend(ctx, wire.Data, random(256))
			eventually(ctx, t.IsTaken)
			end(ctx, t)
			e := t.end(ctx)
			entries, err := os.ReadDir(dir)
			r.must(e.Exit != 0 && err == nil && len(entries) == 0,
				say("sent INFO 1000 and 256 bytes to mqfile -o FILE, and made it end"),
				say("no file, not even a partial one or one under another name"), say("files: %.300v; %v", entries, e))
		},
		Entry("when the server fails in the middle", answered(wire.Failure, "read error")),
		Entry("when the server ends too early", answered(wire.End, "")),
		Entry("after SIGINT", signaled(unix.SIGINT)),
		Entry("after SIGTERM", signaled(unix.SIGTERM)),
		Entry("after SIGHUP", signaled(unix.SIGHUP)),
		Entry("after SIGUSR1", signaled(unix.SIGUSR1)),
	)
	It("fails when the bytes are not as many as INFO says", func(ctx SpecContext) {
		for _, said := range []struct {
			info uint64
			sent int
		}{{100, 0}, {100, 99}, {100, 101}, {1<<32 + 5, 5}, {1<<31 + 5, 5}} {
			t := r.ask(ctx, "file")
			t.mustSend(ctx, wire.Info, wire.AppendInfo(nil, said.info))
			if said.sent > 0 {
				t.mustSend(ctx, wire.Data, random(said.sent))
			}
			t.Send(ctx, wire.End, nil)
			e := t.end(ctx)
			r.must(e.Exit != 0 && strings.HasPrefix(e.Stderr, "mqfile: "),
				say("sent INFO %d, %d bytes and END", said.info, said.sent),
				say("a non-zero exit status and the reason on stderr"), say("%v", e))
			t.Close()
		}
	})
	It("fails when the file cannot be created", func(ctx SpecContext) {
		f, nowhere := must(harness.NewFakeServer()), filepath.Join(place().Dir, "nowhere", "file")
		defer f.Close()
		e := r.endServed(ctx, f, "--queue", f.Queue, "-o", nowhere, "file")
		r.must(e.Exit == 1 && strings.HasPrefix(e.Stderr, "mqfile: "),
			say("gave -o a file in a directory that does not exist"),
			say("exit status 1 and the reason on stderr"), say("%v", e))
	})
	It("fails when the bytes cannot be written", func(ctx SpecContext) {
		full := must(os.OpenFile("/dev/full", os.O_WRONLY, 0))
		defer full.Close()
		for _, content := range [][]byte{[]byte("x"), random(200)} { // any reply queue holds them: it may end at the first
			t := r.askTo(ctx, full, "file")
			t.SendFile(ctx, content)
			e := t.end(ctx)
			r.must(e.Exit == 1 && strings.HasPrefix(e.Stderr, "mqfile: "),
				say("sent %d bytes to a client whose stdout is /dev/full, see full(4)", len(content)),
				say("exit status 1 and the reason on stderr"), say("%v", e),
				say("the result of write(2) is not checked; or the bytes are still in a buffer until fclose(3), "+
					"whose result is not checked"))
		}
	})
})

var _ = Row("exit", func(r row) {
	It("returns 1 and prints the text when the server says FAILURE", func(ctx SpecContext) {
		for _, text := range []string{"no such file, señor", "100%% of %d files", strings.Repeat("long/", 2000)} {
			t := r.ask(ctx, "file")
			text = text[:min(len(text), t.MsgSize)]
			t.mustSend(ctx, wire.Failure, []byte(text))
			e := t.end(ctx)
			const told = 4000 // a terminating NUL may cost the last byte of a text that fills the message
			r.must(e.Exit == 1 && strings.Contains(e.Stderr, "mqfile: ") &&
				strings.Contains(e.Stderr, text[:min(len(text), told)]),
				say("answered FAILURE %.40q, %d bytes", text, len(text)),
				say("exit status 1 and the text after `mqfile: ` on stderr"), say("%v", e))
			t.Close()
		}
	})
	It("prints the text and no more when FAILURE comes after DATA", func(ctx SpecContext) {
		t := r.ask(ctx, "file")
		t.mustSend(ctx, wire.Info, wire.AppendInfo(nil, 1000))
		t.mustSend(ctx, wire.Data, bytes.Repeat([]byte("@"), 200))
		eventually(ctx, t.IsTaken) // or FAILURE, of a higher priority, comes first
		t.mustSend(ctx, wire.Failure, []byte("read error"))
		e := t.end(ctx)
		r.must(e.Exit == 1 && strings.HasPrefix(e.Stderr, "mqfile: ") && strings.Contains(e.Stderr, "read error") &&
			!strings.Contains(e.Stderr, "@"), say("answered INFO, 200 bytes of @, and FAILURE \"read error\""),
			say("exit status 1 and the text after `mqfile: ` on stderr, nothing from the file"), say("%v", e),
			say("the text has no NUL: mq_receive(3) returns its length, and what follows in the buffer is left from "+
				"the message before"))
	})
	It("returns 2 and explains wrong usage", func(ctx SpecContext) {
		for _, args := range [][]string{{}, {"--no-such-flag", "file"}, {"--queue"}, {"one", "two"}} {
			e := endOf(ctx, r.startClient(nil, args...))
			r.must(e.Exit == 2 && e.Stderr != "",
				say("started mqfile %v", finding.Args(args)), say("usage on stderr, exit status 2"), say("%v", e))
		}
	})
	It("returns 3 when there is no server", func(ctx SpecContext) {
		e := endOf(ctx, r.startClient(nil, "--queue="+harness.QueueName("nobody"), "file"))
		r.must(e.Exit == 3 && strings.HasPrefix(e.Stderr, "mqfile: "),
			say("pointed it at a queue that does not exist"), say("exit status 3 and the reason on stderr"),
			say("%v", e))
	})
	It("returns 3 when nothing comes for 10 s, and waits for as long as something does", func(ctx SpecContext) {
		// All at the same time, since it takes 10 s. A client may begin to count as soon as the suite has begun to act, so
		// no moment is noted later than that: the next client may be slow to start.
		asked := time.Now()
		deaf := must(harness.NewFakeServer())
		DeferCleanup(deaf.Close)
		Expect(harness.SendRaw(ctx, deaf.Queue, nil)).To(Succeed()) // it has room for one
		unheard := r.startClient(nil, "--queue", deaf.Queue, "file")
		silent := r.ask(ctx, "file")
		stopped := r.ask(ctx, "file")
		stopped.mustSend(ctx, wire.Info, wire.AppendInfo(nil, 3))
		slow := r.ask(ctx, "file")
		slow.mustSend(ctx, wire.Info, wire.AppendInfo(nil, 2))
		begin := time.Now()
		at := func(d time.Duration) { <-time.After(time.Until(begin.Add(d))) }
		at(500 * time.Millisecond)
		last := time.Now()
		stopped.Send(ctx, wire.Data, []byte("x"))
		at(3500 * time.Millisecond)
		slow.Send(ctx, wire.Data, []byte("x"))
		at(7 * time.Second)
		slow.Send(ctx, wire.Data, []byte("y"))
		limited, cancel := harness.WithTimeout(ctx, 5*time.Second+harness.Slack)
		defer cancel()
		r.mustBeSilence(silent.client.Wait(limited), asked, say("received its request and did not answer"))
		e := unheard.Wait(limited)
		r.must(e.Exit == 3, say("pointed it at a full request queue that nobody reads"),
			say("exit status 3 after 10 s"), say("%v", e),
			say("mq_send(3) waits for room without limit; mq_timedsend(3) takes a timeout"))
		at(10700 * time.Millisecond) // what counts from INFO, or from the start, has ended
		slow.Send(ctx, wire.End, nil)
		r.mustBeSilence(stopped.client.Wait(limited), last, say("answered INFO and DATA, then nothing"))
		e = slow.end(ctx)
		r.must(e.Exit == 0 && string(e.Stdout) == "xy",
			say("answered INFO, DATA after 3.5 s and after 7 s, END after 10.7 s"),
			say("the file: the 10 s count from one response to the next"), say("%v", e))
	})
	It("returns 1 when what comes is not a response", func(ctx SpecContext) {
		info := harness.Message{Kind: wire.Info, Body: wire.AppendInfo(nil, 1)}
		data := harness.Message{Kind: wire.Data, Body: []byte("x")}
		for _, answer := range []struct {
			what     rubric.Text
			messages []harness.Message
		}{
			{say("INFO of 4 bytes"), []harness.Message{{Kind: wire.Info, Body: info.Body[:4]}}},
			{say("INFO of 16 bytes"), []harness.Message{{Kind: wire.Info, Body: append(info.Body, info.Body...)}, data, {Kind: wire.End}}},
			{say("END of 1 byte"), []harness.Message{info, data, {Kind: wire.End, Body: data.Body}}},
			{say("INFO twice"), []harness.Message{info, info}},
			{say("DATA without INFO"), []harness.Message{data}},
			{say("END without INFO"), []harness.Message{{Kind: wire.End}}},
			{say("a message of priority 7"), []harness.Message{{Kind: 7, Body: info.Body}}},
			{say("a message of priority 0"), []harness.Message{info, {Kind: 0, Body: []byte("x")}}},
		} {
			t := r.ask(ctx, "file")
			for _, m := range answer.messages {
				t.Send(ctx, m.Kind, m.Body) // it may have ended at the one before
			}
			e := t.end(ctx)
			r.must(e.Exit == 1 && strings.HasPrefix(e.Stderr, "mqfile: "),
				say("answered %v", answer.what), say("exit status 1 and the reason after `mqfile: ` on stderr"), say("%v", e))
			t.Close()
		}
	})
	It("returns 130 on SIGINT and 143 on SIGTERM", func(ctx SpecContext) {
		for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM} {
			status := 128 + int(sig)
			t := r.ask(ctx, "file")
			err := t.client.Signal(sig)
			e := endOf(ctx, t.client)
			r.must(err == nil, say("received its request and did not answer"), say("it is waiting"),
				say("it has ended: %v", e))
			r.must(e.Exit == status, say("sent %s while it waits", unix.SignalName(sig)), say("exit status %d", status),
				say("%v", e))
			t.Close()
			t = r.ask(ctx, "file")
			t.mustSend(ctx, wire.Info, wire.AppendInfo(nil, 1000))
			t.mustSend(ctx, wire.Data, random(256))
			eventually(ctx, t.IsTaken)
			t.client.Signal(sig)
			e = t.end(ctx)
			r.must(e.Exit == status, say("sent %s in mid-transfer", unix.SignalName(sig)), say("exit status %d", status),
				say("%v", e))
			t.Close()
		}
	})
})

// mustBeSilence is about a client that got nothing from some moment on.
func (r row) mustBeSilence(e harness.Ended, since time.Time, did rubric.Text) {
	took := time.Since(since).Round(time.Millisecond)
	r.must(e.Exit == 3 && took > 9*time.Second, did, say("exit status 3 after 10 s"), say("%v after %v", e, took))
}

func (r row) startClient(stdout *os.File, args ...string) *harness.Running {
	c, err := programs.StartClient(stdout, args...)
	r.must(err == nil, say("started mqfile %v", finding.Args(args)), say("it can be executed"), say("%v", err))
	return c
}

var _ = Row("cleanup", func(r row) {
	It("makes its reply queue for itself, with mode 0622 and a name nobody guesses", func(ctx SpecContext) {
		names := map[string]bool{}
		for range 3 {
			t := r.ask(ctx, "file")
			pid, reply := t.client.PID, t.Request.Reply
			names[strings.ReplaceAll(reply, strconv.Itoa(pid), "PID")] = true
			r.must(t.Mode == wire.QueueMode && int(t.Request.PID) == pid,
				say("looked at the request and its reply queue"),
				say("mode 0622 whatever the umask, and the client's PID"),
				say("%s has mode %#o; the request says PID %d, the client is PID %d", reply, t.Mode, t.Request.PID, pid))
			t.mustSend(ctx, wire.Failure, []byte("enough"))
			t.end(ctx)
			t.Close()
		}
		r.must(len(names) == 3, say("started it 3 times"), say("a different name each time, not only in the PID"),
			say("%v", names))
	})
	It("unlinks the name when the first response has come", func(ctx SpecContext) {
		t := r.ask(ctx, "file")
		reply := t.Request.Reply
		r.must(harness.QueueExists(reply), say("received its request"), say("the reply queue exists"),
			say("no queue %v", reply))
		t.mustSend(ctx, wire.Info, wire.AppendInfo(nil, 1))
		r.must(eventually(ctx, func() bool { return !harness.QueueExists(reply) }),
			say("answered INFO"), say("the reply queue's name is unlinked"), say("queue %v is still there", reply))
		t.mustSend(ctx, wire.Data, []byte("x"))
		t.mustSend(ctx, wire.End, nil)
		e := t.end(ctx)
		r.must(e.Exit == 0 && string(e.Stdout) == "x", say("then sent the file"),
			say("it arrives: an unlinked queue lives on while somebody has it open"), say("%v", e))
	})
	DescribeTable("leaves no queue",
		func(ctx SpecContext, end func(ctx context.Context, t talk)) {
			t := r.ask(ctx, "file")
			end(ctx, t)
			e := t.end(ctx)
			reply := t.Request.Reply
			did := say("let the client end")
			if e.Exit > 128 {
				did = say("sent the client %s", unix.SignalName(unix.Signal(e.Exit-128)))
			}
			r.must(!harness.QueueExists(reply), did, say("no queue of its own is left"),
				say("queue %s still exists; %v", reply, e))
		},
		Entry("after success", func(ctx context.Context, t talk) { t.SendFile(ctx, []byte("x")) }),
		Entry("after FAILURE", answered(wire.Failure, "no")),
		Entry("after SIGINT", signaled(unix.SIGINT)),
		Entry("after SIGTERM", signaled(unix.SIGTERM)),
		Entry("after SIGHUP", signaled(unix.SIGHUP)),
		Entry("after SIGUSR1", signaled(unix.SIGUSR1)),
		Entry("after nonsense from the server", answered(wire.End, "nonsense")),
		Entry("after 10 s without a response", func(context.Context, talk) { <-time.After(10 * time.Second) }),
	)
	It("leaves no queue when a signal comes before its request is sent", func(ctx SpecContext) {
		f := must(harness.NewFakeServer())
		defer f.Close()
		Expect(harness.SendRaw(ctx, f.Queue, nil)).To(Succeed()) // it has room for one
		for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM} {
			c := r.startClient(nil, "--queue", f.Queue, "file")
			var queues []string
			waits := eventually(ctx, func() bool {
				queues = c.Queues()
				status, err := procfs.New("/proc").Process(c.PID).Status()
				return err == nil && status.State == 'S' && len(queues) > 0
			})
			c.Signal(sig)
			e := endOf(ctx, c)
			left := slices.ContainsFunc(queues, harness.QueueExists)
			for _, name := range queues {
				mq.Unlink(name)
			}
			r.must(!waits || !left, say("sent %s to a client that waits for room in the server's queue", unix.SignalName(sig)),
				say("no queue of its own is left"), say("queues: %.300v; %v", queues, e),
				say("handlers are set before there is anything to remove"))
		}
	})
	It("leaves no queue when there is no server, or no place for its output", func(ctx SpecContext) {
		if !harness.OwnNamespaces() {
			skip(say("namespaces cannot be created here, so the client's queue cannot be told from others"))
		}
		queues := filepath.Join(place().Dir, "queues")
		Expect(os.Mkdir(queues, 0o755)).To(Succeed())
		Expect(unix.Mount("mqueue", queues, "mqueue", 0, "")).To(Succeed())
		DeferCleanup(func() { unix.Unmount(queues, unix.MNT_DETACH) })
		f := must(harness.NewFakeServer())
		defer f.Close()
		before := must(os.ReadDir(queues))
		for _, end := range []struct {
			did  rubric.Text
			args []string
		}{
			{say("pointed it at a queue that does not exist"), []string{"--queue", harness.QueueName("nobody"), "file"}},
			{say("gave -o a file in a directory that does not exist"),
				[]string{"--queue", f.Queue, "-o", queues + "/nowhere/file", "file"}},
		} {
			e := r.endServed(ctx, f, end.args...)
			left := must(os.ReadDir(queues))
			r.must(len(left) == len(before), end.did, say("no queue of its own is left"), say("queues: %.300v; %v", left, e))
		}
	})
})
