package specs_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/wire"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

// random is binary content that no program can have guessed.
func random(size int) []byte {
	b := make([]byte, size)
	var seed [32]byte
	rand.NewChaCha8(seed).Read(b)
	return b
}

var _ = Row("transfer", func(r row) {
	It("sends files of every size around a whole number of messages", func(ctx SpecContext) {
		s := r.start(ctx)
		for _, shape := range [][2]int{{10, 512}, {4, 1024}, {1, 256}, {2, 1000}, {3, 4096}, {2, 8192}} {
			c := client(harness.Shape{Depth: shape[0], MsgSize: shape[1]})
			whole := c.Shape.MsgSize
			for _, size := range []int{0, 1, whole - 1, whole, whole + 1, 3 * whole, 20*whole + 7} {
				r.mustArrive(ctx, c, s, "sized", random(size))
			}
			c.Close()
		}
	})
	It("sends a large binary file", func(ctx SpecContext) {
		r.mustArrive(ctx, client(harness.Shape{Depth: 4, MsgSize: 4096}), r.start(ctx), "large", random(8<<20+1))
	})
	It("sends files of 2 GiB, 4 GiB and more", func(ctx SpecContext) {
		s := r.start(ctx, "--stall", "3600") // this machine may hold up the suite for as long as it will
		for _, size := range []int64{1<<31 - 1, 1 << 31, 3<<30 + 1, 1 << 32, 1<<32 + 5, 1<<33 + 300} {
			r.mustBegin(ctx, s, size)
		}
	})
	It("sends files in directories, and with names of any bytes", func(ctx SpecContext) {
		s := r.start(ctx)
		c := client(harness.Small)
		for _, name := range []string{"a/b/c", "with spaces", "ñandú 文件", "caf\xe9", "new\nline", "%s%n", "-o", "two..dots", "..two",
			"...", ".hidden", strings.Repeat("n", 255)} {
			r.mustArrive(ctx, c, s, name, []byte(name))
		}
		for _, path := range []string{"/a/b/c", "//a/b/c", strings.Repeat("./", 2045) + "a/b/c", strings.Repeat("/", 4090) + "a/b/c"} {
			e := r.fetch(ctx, c, s, path)
			r.must(string(e.Content) == "a/b/c", say("asked for a/b/c as %.20q..., %d bytes", path, len(path)),
				say("its content: a leading slash means the root, and a path may have up to 4095 bytes"), e.Summary())
		}
	})
	It("answers to a reply queue with a name of any length", func(ctx SpecContext) {
		s := r.start(ctx)
		Expect(s.WriteFile("file", []byte("x"))).To(Succeed())
		for _, length := range []int{64, 65, 128, 254, 255} {
			c := longNamed(length)
			r.mustArrive(ctx, c, s, "file", []byte("x"))
			c.Close()
		}
	})
	It("serves a root that is a symbolic link", func(ctx SpecContext) {
		p := place()
		link := filepath.Join(p.Dir, "link")
		Expect(os.Symlink(p.Root, link)).To(Succeed())
		p.Root = link
		s := r.startAt(ctx, p, harness.Hostile())
		Expect(s.WriteFile("file", []byte("x"))).To(Succeed())
		e := r.fetch(ctx, client(harness.Small), s, "file")
		r.can(ctx, string(e.Content) == "x", say("asked for a file; --root is a symbolic link to a directory"),
			say("its content"), e.Summary(),
			say("the file's real path is compared with an unresolved root: realpath(3) both, or open the root once"))
	})
	It("sends no wrong content for a file of unknown size", func(ctx SpecContext) {
		p := place()
		p.Root = "/proc/sys/kernel" // everybody may read there
		content := must(os.ReadFile(filepath.Join(p.Root, "ostype")))
		s := r.startAt(ctx, p, harness.Hostile())
		e := r.fetch(ctx, client(harness.Small), s, "ostype")
		_, failed := e.Failed()
		r.must(failed || bytes.Equal(e.Content, content),
			say("asked for /proc/sys/kernel/ostype, whose size stat(2) reports as 0"), say("%q, or FAILURE", content),
			say("%s, content %.40q", e.Summary(), e.Content))
	})
})

// longNamed is a client whose reply queue's name has so many bytes.
func longNamed(length int) *harness.Client {
	name := harness.QueueName("reply")
	c := must(harness.NewClientNamed(name+strings.Repeat("-", length-len(name)), harness.Small))
	DeferCleanup(c.Close)
	return c
}

func (r row) mustArrive(ctx context.Context, c *harness.Client, s *harness.Server, name string, content []byte) {
	Expect(s.WriteFile(name, content)).To(Succeed())
	e := r.fetch(ctx, c, s, name)
	r.can(ctx, e.Last().Kind == wire.End && bytes.Equal(e.Content, content),
		say("asked for %q, %d bytes, with a reply queue of %d messages of %d bytes", name, len(content), c.Shape.Depth,
			c.Shape.MsgSize), say("the same bytes"), difference(e, content))
}

// mustBegin asks for a file of so many bytes, all of them 0 and none on a disk, and reads only the beginning: a size or a
// rest that is kept in 32 bits is seen there.
func (r row) mustBegin(ctx context.Context, s *harness.Server, size int64) {
	if err := s.WriteHole("huge", size); err != nil {
		AddReportEntry(finding.Noted, say("no file of %d bytes can be made here: %v", size, err))
		return
	}
	c := client(harness.Shape{Depth: 2, MsgSize: 1024})
	defer c.Close()
	r.goesOn(c.Request(ctx, s.Queue, "huge"), s, say("asked for a huge file"))
	e, err := c.Begin(ctx, 5)
	wrong := say("%v", err)
	if err == nil {
		wrong = beginsWrong(e, uint64(size))
	}
	r.can(ctx, wrong == (rubric.Text{}), say("asked for a file of %d bytes, and read five messages", size),
		say("INFO %d, then DATA", size), say("%v: %v", wrong, e.Summary()),
		say("a size or an offset is kept in 32 bits, such as an int: use off_t and uint64_t"))
}

func beginsWrong(e harness.Exchange, size uint64) rubric.Text {
	if info, err := wire.ParseInfo(e.Messages[0].Body); e.Messages[0].Kind != wire.Info || err != nil || info != size {
		return say("the first message differs")
	}
	for i, m := range e.Messages[1:] {
		if m.Kind != wire.Data {
			return say("message %d differs", i+2)
		}
	}
	if bytes.ContainsFunc(e.Content, func(c rune) bool { return c != 0 }) {
		return say("not all bytes are 0")
	}
	return rubric.Text{}
}

// difference says how much of a content has come, and which byte is the first wrong one.
func difference(e harness.Exchange, content []byte) rubric.Text {
	for i := range min(len(e.Content), len(content)) {
		if e.Content[i] != content[i] {
			return say("%d of %d bytes, byte %d is %#02x and should be %#02x: %s", len(e.Content), len(content), i, e.Content[i],
				content[i], e.Summary())
		}
	}
	return say("%d of %d bytes: %s", len(e.Content), len(content), e.Summary())
}

var _ = Row("protocol", func(r row) {
	It("sends INFO, then DATA in whole messages, then END", func(ctx SpecContext) {
		s := r.start(ctx)
		for _, size := range []int{0, 1, 512, 513, 5000} {
			// Text: what a program makes of a NUL is another row's.
			Expect(s.WriteFile("file", bytes.Repeat([]byte("x"), size))).To(Succeed())
			c := client(harness.Small)
			e := r.fetch(ctx, c, s, "file")
			wrong := outOfOrder(e, size, c.Shape.MsgSize)
			r.must(wrong == (rubric.Text{}),
				say("asked for a file of %d bytes with messages of %d bytes", size, c.Shape.MsgSize),
				say("INFO with the size as uint64, DATA in pieces of the queue's message size, an empty END"),
				say("%s: %s", wrong, e.Summary()))
			r.mustBeSilent(ctx, c, s)
		}
	})
	It("fills each message but the last, whatever the queue holds", func(ctx SpecContext) {
		s := r.start(ctx)
		const size = 300_001 // more than a program reads of a file at a time
		if harness.OwnNamespaces() {
			if restore, err := harness.SetLimit("msgsize_max", 20_000); err == nil {
				DeferCleanup(restore)
			}
		}
		Expect(s.WriteFile("file", bytes.Repeat([]byte("x"), size))).To(Succeed())
		for _, msgSize := range []int{256, 1000, 8192, 20_000} {
			c := client(harness.Shape{Depth: 2, MsgSize: msgSize})
			e := r.fetch(ctx, c, s, "file")
			wrong := outOfOrder(e, size, c.Shape.MsgSize)
			r.must(wrong == (rubric.Text{}),
				say("asked for a file of %d bytes with messages of %d bytes", size, c.Shape.MsgSize),
				say("DATA messages as long as the reply queue's message size; only the last may be shorter"),
				say("%s: %s", wrong, e.Summary()),
				say("the read buffer is smaller than a message, or not a multiple of one"))
			c.Close()
		}
	})
	It("takes a request of any priority", func(ctx SpecContext) {
		s := r.start(ctx)
		Expect(s.WriteFile("file", []byte("x"))).To(Succeed())
		for _, priority := range []uint{1, 4, 31, 32767} {
			c := client(harness.Small)
			c.Priority = priority
			e, err := c.Fetch(ctx, s.Queue, "file")
			r.can(ctx, err == nil && string(e.Content) == "x", say("sent a request of priority %d", priority),
				say("it is served like any other"), say("%s, error: %v", e.Summary(), err))
		}
	})
	It("sends FAILURE alone for a file that is not there", func(ctx SpecContext) {
		s := r.start(ctx)
		c := client(harness.Small)
		e := r.fetch(ctx, c, s, "missing")
		_, failed := e.Failed()
		r.must(failed && len(e.Messages) == 1,
			say("asked for a file that does not exist"), say("FAILURE and nothing else"), e.Summary())
		r.mustBeSilent(ctx, c, s)
	})
})

// outOfOrder says what is wrong with a whole exchange, nothing if it is right.
func outOfOrder(e harness.Exchange, size, msgSize int) rubric.Text {
	first, last := e.Messages[0], e.Last()
	if info, err := wire.ParseInfo(first.Body); first.Kind != wire.Info || err != nil || info != uint64(size) {
		return say("the first message is not INFO %d but %v", size, first)
	}
	if last.Kind != wire.End || len(last.Body) != 0 {
		return say("the last message is not an empty END, priority %d, but %v, priority %d", wire.End, last, last.Kind)
	}
	rest := size
	for _, m := range e.Messages[1 : len(e.Messages)-1] {
		if want := min(rest, msgSize); m.Kind != wire.Data || len(m.Body) != want || want == 0 {
			return say("%v where DATA of %d bytes should be", m, want)
		}
		rest -= len(m.Body)
	}
	if rest > 0 {
		return say("END with %d bytes still missing", rest)
	}
	return rubric.Text{}
}

// mustBeSilent proves that nothing comes after the end, once another exchange is over.
func (r row) mustBeSilent(ctx context.Context, c *harness.Client, s *harness.Server) {
	r.mustServe(ctx, s, say("finished an exchange"))
	m, came := c.Pending()
	r.must(!came, say("looked into the reply queue after the end of the exchange"),
		say("nothing comes after END or FAILURE"), say("%v", m))
}

var _ = Row("errors", func(r row) {
	DescribeTable("answers FAILURE at once",
		func(ctx SpecContext, path string, make func(file string)) {
			s := r.start(ctx)
			make(filepath.Join(s.Root, path))
			watch := harness.NewStopwatch()
			e := r.fetch(ctx, client(harness.Small), s, path)
			atOnce := watch.Within(2 * harness.Slack)
			text, failed := e.Failed()
			r.must(failed && text != "" && utf8.ValidString(text) && !strings.Contains(text, "\x00") && atOnce,
				say("asked for %q", path), say("FAILURE with the reason as UTF-8 text without NUL, at once"),
				say("%s after %v", e.Summary(), watch.Took()))
			r.mustServe(ctx, s, say("asked for %q", path))
		},
		Entry("for a missing file", "missing", func(string) {}),
		Entry("for a file below a file", "file/below", func(file string) {
			Expect(os.WriteFile(filepath.Dir(file), nil, 0o644)).To(Succeed())
		}),
		Entry("for a file that it may not read", "secret", func(file string) {
			Expect(os.WriteFile(file, []byte("secret"), 0o000)).To(Succeed())
		}),
		Entry("for a directory", "dir", func(file string) { Expect(os.Mkdir(file, 0o755)).To(Succeed()) }),
		Entry("for the root", "/", func(string) {}),
		Entry("for a FIFO that nobody writes to", "fifo", func(file string) {
			Expect(unix.Mkfifo(file, 0o644)).To(Succeed())
			Expect(os.Chmod(file, 0o644)).To(Succeed())
		}),
		Entry("for a socket", "socket", func(file string) {
			Expect(unix.Mknod(file, unix.S_IFSOCK|0o644, 0)).To(Succeed())
			Expect(os.Chmod(file, 0o644)).To(Succeed())
		}),
		Entry("for a device", "device", func(file string) {
			if os.Geteuid() != 0 {
				skip(say("only root can make a device"))
			}
			err := unix.Mknod(file, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5)))
			if errors.Is(err, unix.EPERM) {
				skip(say("root in this user namespace cannot make a device"))
			}
			Expect(err).NotTo(HaveOccurred())
			Expect(os.Chmod(file, 0o644)).To(Succeed())
		}),
		Entry("for an empty path", "", func(string) {}),
		Entry("for a name that is too long", strings.Repeat("n", 256), func(string) {}),
	)
	It("says why", func(ctx SpecContext) {
		s := r.start(ctx)
		c := client(harness.Small)
		missing, _ := r.fetch(ctx, c, s, "file").Failed()
		Expect(os.WriteFile(filepath.Join(s.Root, "file"), nil, 0o000)).To(Succeed())
		unreadable, _ := r.fetch(ctx, c, s, "file").Failed()
		r.must(missing != unreadable,
			say("asked for a file that does not exist, and again when it existed and nobody might read it"),
			say("FAILURE with the reason"), say("both times %q", missing), say("the reason is what errno says, see strerror(3)"))
	})
	It("says why in whole characters of UTF-8, in one message of any size", func(ctx SpecContext) {
		s := r.start(ctx)
		for _, path := range []string{
			strings.Repeat(strings.Repeat("ñ", 100)+"/", 10), strings.Repeat(strings.Repeat("文", 80)+"/", 8),
			strings.Repeat(strings.Repeat("😀", 60)+"/", 8), strings.Repeat("a/", 2047) + "a",
			"caf\xe9 \xff\xfe\x80\xc3", "x" + strings.Repeat("y", 250) + "\xe6\x96",
		} {
			for _, size := range []int{256, 257, 258, 259, 1024} {
				c := client(harness.Shape{Depth: 2, MsgSize: size})
				e := r.fetch(ctx, c, s, path)
				text, failed := e.Failed()
				r.must(failed && text != "" && utf8.ValidString(text) && !strings.ContainsRune(text, 0),
					say("asked for a missing file, %.30q, %d bytes, with messages of %d bytes", path, len(path), size),
					say("FAILURE with the reason as UTF-8 text without NUL, cut to the message's size at a whole character"),
					say("%s: ends in %q", e.Last(), text[max(0, len(text)-8):]),
					say("a reason that quotes the path contains whatever bytes the path does, and may be longer than a "+
						"message"))
				c.Close()
			}
		}
	})
})

var _ = Row("confine", func(r row) {
	const secret = "outside of the root"
	It("reaches nothing outside of the root", func(ctx SpecContext) {
		s := r.start(ctx)
		outside := filepath.Join(s.Dir, "outside")
		Expect(os.WriteFile(outside, []byte(secret), 0o644)).To(Succeed())
		Expect(os.Mkdir(s.Root+"-beside", 0o755)).To(Succeed())
		Expect(os.WriteFile(s.Root+"-beside/outside", []byte(secret), 0o644)).To(Succeed())
		Expect(os.Mkdir(filepath.Join(s.Root, "sub"), 0o755)).To(Succeed())
		for link, target := range map[string]string{
			"absolute": outside, "relative": "../outside", "directory": s.Dir, "up": "..", "chain": "relative",
			"sub/twice": "../../outside", "process": "/proc/self/root" + outside,
		} {
			Expect(os.Symlink(target, filepath.Join(s.Root, link))).To(Succeed())
		}
		c := client(harness.Small)
		for _, path := range []string{
			"../outside", "sub/../../outside", "./../outside", "/../outside", "//../outside", "sub/..//../outside",
			outside, "absolute", "relative", "directory/outside", "up/outside", "chain", "sub/twice", "process",
			"../" + filepath.Base(s.Dir) + "/outside", "../" + filepath.Base(s.Root) + "-beside/outside",
		} {
			e := r.fetch(ctx, c, s, path)
			_, failed := e.Failed()
			r.can(ctx, failed && len(e.Content) == 0, say("asked for %q; the file is outside the root", path),
				say("FAILURE"), say("%s, content %.40q", e.Summary(), e.Content))
		}
	})
})
