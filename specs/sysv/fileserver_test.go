package sysv_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
	"daemonlab/lab/tool"
	"daemonlab/specs/inside"
)

// Content that no program can have guessed.
var large, small = random(1 << 20), random(1000)

func random(size int) string {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	return string(b)
}

var _ = Describe("the baseline serves files", func() {
	It("of every size around a whole number of messages, with names of any bytes", func() {
		s := startServer()
		Expect(os.Mkdir(filepath.Join(s.root, "d"), 0o755)).To(Succeed())
		const page = 4096 - 48 // of a message the kernel has the first text beside struct msg_msg
		for _, size := range []int{0, 1, page - 1, page, page + 1, piece() - 1, piece(), piece() + 1, 2 * piece(), 20*piece() + 7} {
			Expect(os.WriteFile(filepath.Join(s.root, "d/ñ\n%s"), []byte(large[:size]), 0o644)).To(Succeed())
			s.client("/d/ñ\n%s").mustFetch(large[:size])
		}
	})

	It("hundreds of times to 8 clients at once, and leaves neither a zombie nor a queue", func() {
		clients, each := 8, 125
		if testing.Short() {
			each = 25 // two processes each time, which cost more than all other specs
		}
		s := startServer()
		var group sync.WaitGroup
		for range clients {
			group.Go(func() {
				defer GinkgoRecover()
				for range each {
					out, err := exec.Command(filepath.Join(inside.Place(), "client"), "--key", s.key.String(), "small").Output()
					Expect(string(out), err).To(Equal(small))
				}
			})
		}
		group.Wait()
		s.mustServe()
		Expect(strings.Count(s.said(), "sent \"small\"")).To(Equal(clients*each + 1))
	})

	It("at most --children at a time; further requests wait in the queue", func() {
		s := startServer("--children", "2")
		first, second := s.client("large"), s.client("large")
		Eventually(s.children).Should(HaveLen(2))
		third := s.waitingClient("small", 1)
		Consistently(s.queue.Status, "20ms").Should(HaveField("Messages", 1), "with both children busy")
		Expect(s.children()).To(HaveLen(2))
		first.mustFetch(large)
		third.mustFetch(small)
		second.mustFetch(large)
	})

	It("and tells at once why it cannot", func() {
		s := startServer()
		Expect(unix.Mkfifo(filepath.Join(s.root, "fifo"), 0o644)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(s.root, "../secret"), nil, 0o644)).To(Succeed())
		Expect(os.Symlink("/etc/passwd", filepath.Join(s.root, "link"))).To(Succeed())
		for path, reason := range map[string]string{
			"missing":   "no such file or directory",
			"/":         "not a regular file",
			"fifo":      "not a regular file",
			"":          "empty path",
			"../secret": "path escapes from parent",
			"link":      "path escapes from parent",
		} {
			s.client(path).mustEnd(1, Equal("svfile: "+path+": "+reason+"\n"))
		}
	})
})

var _ = Describe("the baseline drops, logs and goes on after", func() {
	It("messages that are no request, of any type and length", func() {
		s := startServer()
		for i, message := range []string{"", "1", "1234", "1234path", "1234path\x00more", "1234\x00\x00",
			"1234" + strings.Repeat("p", 4096) + "\x00", strings.Repeat("x", 8000)} {
			s.send(1+i*(math.MaxInt/8), message)
		}
		s.mustServe()
		Eventually(func() int { return strings.Count(s.said(), "dropped a request: malformed request: ") }).Should(Equal(8))
	})

	It("requests that name a queue that is not their client's", func() {
		s := startServer()
		private, _ := inBoth(message{1, "private"})
		for _, c := range []struct {
			named  sysv.Queue
			reason string
		}{
			{-1, "msgctl MSG_STAT_ANY: no such queue"},
			{s.queue ^ 1<<30, "msgctl MSG_STAT_ANY: no such queue"}, // the place of a queue, but another count
			{s.queue, "has the key"},
			{private, "is in use already"},
			{newSysV(300), "takes 300 bytes, at least 512 are needed"}, // no room for the reason of a failure
		} {
			s.ask(c.named, "small")
			Eventually(s.said).Should(ContainSubstring("dropped a request: queue %d: %s", c.named, c.reason))
		}
		Expect(take(private, 0, 1)).To(Equal([]message{{1, "private"}}))
		s.mustServe()
	})

	It("a second request for a queue that is being served", func() {
		s, client, q := midTransfer()
		s.ask(q, "small")
		Eventually(s.said).Should(ContainSubstring("is in use already"))
		client.mustFetch(large)
	})
})

var _ = Describe("the baseline's client removes its queue", func() {
	ends := func(end func(client *process, q sysv.Queue), code int, said OmegaMatcher) {
		s, client, q := midTransfer()
		end(client, q)
		client.mustEnd(code, said)
		Expect(only(q.Status())).To(MatchError(os.ErrNotExist))
		s.mustServe()
	}

	DescribeTable("when a signal ends it in mid-transfer:", func(sig unix.Signal) {
		ends(func(client *process, _ sysv.Queue) { client.signal(sig) }, 128+int(sig), BeEmpty())
	},
		Entry("SIGINT", unix.SIGINT), Entry("SIGTERM", unix.SIGTERM),
		Entry("SIGHUP", unix.SIGHUP), Entry("SIGUSR1", unix.SIGUSR1),
	)

	It("when its reader goes away, as if by SIGPIPE", func() {
		ends(func(client *process, _ sysv.Queue) { client.out.Close() }, 128+int(unix.SIGPIPE), BeEmpty())
	})

	It("when somebody else removes it", func() {
		ends(func(_ *process, q sysv.Queue) { remove(q) }, 1, ContainSubstring("msgrcv: no such queue"))
	})

	It("when no server answers for 10 s", func() {
		if testing.Short() {
			Skip("it takes 10 s")
		}
		key := newKey()
		makeSysV(key)
		start("client", "--key", key.String(), "file").mustEnd(3, Equal("svfile: no server: nothing from it for 10s\n"))
	})

	DescribeTable("or makes none:", func(code int, reason string, args ...string) {
		start("client", args...).mustEnd(code, HavePrefix("svfile: "+reason))
	},
		Entry("no server", 3, "no server: msgget with key 0x00000001: no such file or directory", "--key", "1", "file"),
		Entry("no path", 2, "expected one PATH, not 0"),
		Entry("two paths", 2, "expected one PATH, not 2", "a", "b"),
		Entry("an unknown flag", 2, "no flag --no-such-flag", "--no-such-flag", "a"),
		Entry("the key IPC_PRIVATE", 2, "--key \"0\": ", "--key=0", "a"),
		Entry("a path too long for any request", 2, "the path is longer than 4095 bytes", strings.Repeat("p", 4096)),
	)
})

var _ = Describe("the baseline, killed and stopped", func() {
	It("kill -9 of a child in mid-transfer: its client is told and exits 1, no zombie stays, the server goes on", func() {
		s, client, _ := midTransfer()
		Expect(unix.Kill(must(s.children())[0].Pid, unix.SIGKILL)).To(Succeed())
		Eventually(s.children).Should(BeEmpty())
		client.mustEnd(1, Equal("svfile: large: the server's process for it: signal: killed\n"))
		s.mustServe()
	})

	It("kill -9 of a client: its queue stays for good, its child waits there until --stall has passed", func() {
		s, client, left := midTransfer("--stall", "100ms")
		client.signal(unix.SIGKILL)
		client.mustEnd(128+9, BeEmpty())
		s.mustServe()
		Expect(s.said()).To(ContainSubstring(fmt.Sprintf("if it has ended, remove its queue: ipcrm -q %d", left)))
		Expect(status(left).Messages).To(BeNumerically(">", 1), "DATA, and the FAILURE that nobody reads")
		remove(left)
	})

	It("kill -9 of the server: its queue stays, its child finishes, the next server serves what waits", func() {
		s, running, _ := midTransfer()
		s.signal(unix.SIGKILL)
		s.mustEnd(128+9, BeEmpty())
		Expect(status(s.queue).Key).To(Equal(s.key))
		waiting := s.waitingClient("small", 1)
		running.mustFetch(large)
		next := startServerAt(s.key, s.root)
		Expect(next.said()).To(ContainSubstring("which a server that has ended had left, with 1 requests"))
		waiting.mustFetch(small)
		next.mustServe()
	})

	DescribeTable("the server removes its queue, refuses what waits, lets children finish and exits 0 on", func(sig unix.Signal) {
		s, running, _ := midTransfer("--children", "1")
		waiting := s.waitingClient("large", 1)
		s.signal(sig)
		waiting.mustEnd(1, Equal("svfile: large: the server is stopping\n"))
		Eventually(func() error { return only(s.queue.Status()) }).Should(MatchError(os.ErrNotExist))
		running.mustFetch(large)
		s.mustEnd(0, ContainSubstring("stopping"))
	},
		Entry("SIGTERM", unix.SIGTERM), Entry("SIGINT", unix.SIGINT), Entry("SIGHUP", unix.SIGHUP),
	)

	It("the server ends children that go on for longer than 5 s, and tells their clients", func() {
		s, running, _ := midTransfer()
		s.signal(unix.SIGTERM)
		s.mustEnd(0, ContainSubstring("stopping"))
		running.mustEnd(1, Equal("svfile: large: the server is stopping\n"))
	})

	It("the server says so and exits 1 when somebody removes its queue", func() {
		s := startServer()
		remove(s.queue)
		s.mustEnd(1, HaveSuffix("msgrcv: no such queue\n"))
	})
})

var _ = Describe("the baseline's start", func() {
	It("lets one of many serve a queue that a crash has left, with all that waits in it", func() {
		crashed := startServer()
		crashed.signal(unix.SIGKILL)
		crashed.end()
		var waiting []*process
		for nth := range 5 {
			waiting = append(waiting, crashed.waitingClient("small", nth+1))
		}
		list := must(os.Open("/proc/sysvipc/msg"))
		Expect(unix.Flock(int(list.Fd()), unix.LOCK_EX)).To(Succeed())
		ended := make(chan int, 6)
		for range cap(ended) {
			p := start("server", "--root", crashed.root, "--key", crashed.key.String())
			Eventually(inside.SleepsIn).WithArguments(fmt.Sprintf("/proc/%d", p.Process.Pid), unix.SYS_FLOCK).Should(BeTrue())
			go func() {
				status, _ := p.end()
				ended <- status
			}()
		}
		Expect(list.Close()).To(Succeed()) // all of them start at once
		for _, client := range waiting {
			client.mustFetch(small)
		}
		for range cap(ended) - 1 {
			Eventually(ended).Should(Receive(Equal(1)))
		}
		Consistently(ended, "20ms").ShouldNot(Receive())
	})

	DescribeTable("refuses, and leaves no queue:", func(reason string, change func(key sysv.Key) (args []string)) {
		key := newKey()
		start("server", append([]string{"--key", key.String()}, change(key)...)...).
			mustEnd(1, And(HavePrefix("svfiled: "), ContainSubstring(reason)))
	},
		Entry("a key that another server serves", " (server) receives from it; if that is no server, remove it: ipcrm -q",
			func(key sysv.Key) []string {
				s := startServerAt(key, newRoot())
				s.mustServe() // after it has slept, the kernel notes the thread of a receiver, not the process
				return nil
			}),
		Entry("a queue that no server has ever received from", "no server to be seen; if there is none, remove it: ipcrm -q",
			func(key sysv.Key) []string {
				makeSysV(key)
				return nil
			}),
		Entry("the queue of another user", "belongs to user 65533, not to 0", func(key sysv.Key) []string {
			inside.NeedTwoUsers()
			change(makeSysV(key), func(s *sysv.Status) { s.UID = inside.OtherUser })
			return nil
		}),
		Entry("a root that is none", "open /nowhere: no such file or directory", func(sysv.Key) []string {
			return []string{"--root", "/nowhere"}
		}),
	)
})

// process is a svfiled or svfile.
type process struct {
	*exec.Cmd
	out  io.ReadCloser // its stdout; one that nobody reads holds a client up
	log  string        // the file that gets its stderr
	wait func() error
}

// start starts "server" or "client". It is killed when the spec ends, and before if that takes too long.
func start(program string, args ...string) *process {
	GinkgoHelper()
	stderr := must(os.CreateTemp(GinkgoT().TempDir(), "stderr"))
	defer stderr.Close()
	limited, cancel := context.WithTimeout(context.Background(), 2*inside.Patience)
	p := &process{Cmd: exec.CommandContext(limited, filepath.Join(inside.Place(), program), args...), log: stderr.Name()}
	p.Stderr, p.wait = stderr, sync.OnceValue(p.Wait)
	p.out = must(p.StdoutPipe())
	Expect(p.Start()).To(Succeed())
	DeferCleanup(func() {
		cancel()
		p.wait()
	})
	return p
}

// said is what the program has written to stderr.
func (p *process) said() string {
	text, _ := os.ReadFile(p.log)
	return string(text)
}

func (p *process) signal(sig os.Signal) {
	GinkgoHelper()
	Expect(p.Process.Signal(sig)).To(Succeed())
}

// end reads the program's stdout, and waits for its end. The status of one that a signal ended is 128 and its number.
func (p *process) end() (status int, stdout string) {
	all, _ := io.ReadAll(p.out)
	p.wait()
	return tool.ExitStatus(p.ProcessState), string(all)
}

// mustEnd proves with what status the program ends, and what it has said then.
func (p *process) mustEnd(code int, said OmegaMatcher) {
	GinkgoHelper()
	status, _ := p.end()
	Expect(p.said()).To(said)
	Expect(status).To(Equal(code))
}

// mustFetch proves that a client has fetched this, in as few messages as may be.
func (p *process) mustFetch(want string) {
	GinkgoHelper()
	status, got := p.end()
	Expect(got == want).To(BeTrue(), "%d bytes came of %d; status %d: %s", len(got), len(want), status, p.said())
	Expect(p.said()).To(Equal(fmt.Sprintf("Received %d bytes (%d messages)\n", len(want), (len(want)+piece()-1)/piece())))
	Expect(status).To(BeZero())
}

// piece is what goes into a message to a new queue.
func piece() int {
	GinkgoHelper()
	const msgMax = 8192
	return wire.PieceSize(status(newSysV()).MaxBytes, msgMax)
}

// server is a svfiled that is ready.
type server struct {
	*process
	key   sysv.Key
	root  string
	queue sysv.Queue
}

func startServer(more ...string) *server {
	GinkgoHelper()
	return startServerAt(newKey(), newRoot(), more...)
}

// newRoot is a directory with the files "large" and "small".
func newRoot() string {
	GinkgoHelper()
	root := filepath.Join(GinkgoT().TempDir(), "root")
	Expect(os.Mkdir(root, 0o755)).To(Succeed())
	for name, content := range map[string]string{"large": large, "small": small} {
		Expect(os.WriteFile(filepath.Join(root, name), []byte(content), 0o644)).To(Succeed())
	}
	return root
}

func startServerAt(key sysv.Key, root string, more ...string) *server {
	GinkgoHelper()
	// The queue goes after the process that serves it, so that its children end, too.
	DeferCleanup(func() {
		if q, err := sysv.Get(key, 0, 0); err == nil {
			remove(q)
		}
	})
	s := &server{start("server", append([]string{"--root", root, "--key", key.String()}, more...)...), key, root, 0}
	line := must(bufio.NewReader(s.out).ReadString('\n'))
	s.queue = must(sysv.Get(key, 0, 0))
	Expect(line).To(Equal(fmt.Sprintf("svfiled: PID %d serves %s on queue %d\n", s.Process.Pid, root, s.queue)), s.said)
	return s
}

// children are the server's, zombies among them.
func (s *server) children() ([]procfs.Stat, error) {
	return procfs.New("/proc").Children(s.Process.Pid)
}

func (s *server) client(path string) *process {
	GinkgoHelper()
	return start("client", "--key", s.key.String(), "--", path)
}

// waitingClient is one whose request waits, as the nth, in the server's queue.
func (s *server) waitingClient(path string, nth int) *process {
	GinkgoHelper()
	client := s.client(path)
	Eventually(s.queue.Status).Should(HaveField("Messages", nth), client.said)
	return client
}

// ask sends a request that names any queue.
func (s *server) ask(q sysv.Queue, path string) {
	GinkgoHelper()
	s.send(wire.RequestType, string(must(wire.Request{Queue: q, Path: path}.Message())))
}

// send sends anything. A server that does not empty its queue loses it at last.
func (s *server) send(mtype int, message string) {
	GinkgoHelper()
	defer time.AfterFunc(inside.Patience, func() { s.queue.Remove() }).Stop()
	Expect(s.queue.Send(mtype, []byte(message), 0)).To(Succeed())
}

// mustServe proves that the server goes on, and that it has no other child or request left.
func (s *server) mustServe() {
	GinkgoHelper()
	s.client("small").mustFetch(small)
	Eventually(s.children).Should(BeEmpty(), "children, zombies among them")
	Expect(status(s.queue).Messages).To(BeZero())
}

// midTransfer is a server with a svfile that has a part of a large file, of which nobody reads more, and its queue.
func midTransfer(more ...string) (s *server, client *process, q sysv.Queue) {
	GinkgoHelper()
	s = startServer(more...)
	client = s.client("large")
	Eventually(func() bool {
		for _, status := range must(sysv.Queues()) {
			_, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", client.Process.Pid, status.LastReceiver))
			if err == nil {
				q = status.ID
				return true
			}
		}
		return false
	}).Should(BeTrue(), client.said)
	return s, client, q
}
