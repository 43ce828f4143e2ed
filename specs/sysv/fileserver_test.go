package sysv_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
	"daemonlab/specs/inside"
)

// random is content that no program can have guessed.
func random(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size), 1}).Read(b)
	return b
}

var large = random(1 << 20)

var _ = Describe("the baseline serves files", func() {
	It("of every size around a whole number of messages, by svfile too, with names of any bytes", func() {
		s := startServer()
		piece := wire.PieceSize(status(newSysV()).MaxBytes, 8192) // msgmax
		for _, size := range []int{0, 1, piece - 1, piece, piece + 1, 2 * piece, 20*piece + 7} {
			s.put("d/ñ\n%s", large[:size])
			mustGet(s.request("/d/ñ\n%s"), large[:size])
		}
		client := s.client("d/ñ\n%s")
		status, got := client.end()
		Expect(got, status).To(Equal(large[:20*piece+7]))
		Expect(client.said()).To(Equal(fmt.Sprintf("Received %d bytes (21 messages)\n", 20*piece+7)))
	})

	It("1,000 times to 8 clients at once, and leaves neither a zombie nor a queue", func() {
		const clients, each = 8, 125
		s := startServer()
		s.put("small", large[:1000])
		var group sync.WaitGroup
		for range clients {
			group.Go(func() {
				defer GinkgoRecover()
				for range each {
					q := must(sysv.Get(sysv.Private, sysv.Create, wire.QueueMode))
					s.ask(q, "small")
					mustGet(q, large[:1000])
					remove(q)
				}
			})
		}
		group.Wait()
		s.mustServe()
		Expect(strings.Count(s.said(), "sent \"small\"")).To(Equal(clients * each))
	})

	It("at most --children at a time; further requests wait in the queue", func() {
		s := startServer("--children", "2")
		s.put("large", large)
		s.put("small", []byte("small"))
		first, second := s.request("large"), s.request("large")
		Eventually(s.children).Should(HaveLen(2))
		third := s.request("small")
		Consistently(func() int { return status(s.queue).Messages }, "20ms").Should(Equal(1), "with both children busy")
		Expect(s.children()).To(HaveLen(2))
		mustGet(first, large)
		mustGet(third, []byte("small"))
		mustGet(second, large)
	})

	DescribeTable("and tells at once why it cannot", func(path, reason string, make func(file string) error) {
		s := startServer()
		Expect(make(filepath.Join(s.root, path))).To(Succeed())
		client := s.client(path)
		status, out := client.end()
		Expect(status).To(Equal(1))
		Expect(out).To(BeEmpty())
		Expect(client.said()).To(Equal("svfile: " + path + ": " + reason + "\n"))
	},
		Entry("a missing file", "missing", "no such file or directory", func(string) error { return nil }),
		Entry("the root", "/", "not a regular file", func(string) error { return nil }),
		Entry("a FIFO", "fifo", "not a regular file", func(file string) error { return unix.Mkfifo(file, 0o644) }),
		Entry("an empty path", "", "empty path", func(string) error { return nil }),
		Entry("a path out of the root", "../secret", "path escapes from parent", func(file string) error {
			return os.WriteFile(file, []byte("secret"), 0o600)
		}),
		Entry("a link out of the root", "link", "path escapes from parent", func(file string) error {
			return os.Symlink("/etc/passwd", file)
		}),
	)
})

var _ = Describe("the baseline drops, logs and goes on after", func() {
	It("messages that are no request, of any type and length", func() {
		s := startServer()
		for i, message := range []string{"", "1", "1234", "1234path", "1234path\x00more", "1234\x00\x00",
			"1234" + strings.Repeat("p", 4096) + "\x00", strings.Repeat("x", 8000)} {
			s.send(1+i*(math.MaxInt/8), []byte(message))
		}
		s.mustServe()
		Expect(strings.Count(s.said(), "dropped a request: malformed request: ")).To(Equal(8))
	})

	DescribeTable("a request that names a queue that is not its client's:", func(reason string, name func(s *server) sysv.Queue) {
		s := startServer()
		s.put("file", large)
		s.send(wire.RequestType, append(binary.NativeEndian.AppendUint32(nil, uint32(name(s))), "file\x00"...))
		Eventually(s.said).Should(And(ContainSubstring("dropped a request: queue "), ContainSubstring(reason)))
		s.mustServe()
	},
		Entry("a negative number", "no such queue", func(*server) sysv.Queue { return -1 }),
		Entry("the place of a queue, but another count", "no such queue", func(s *server) sysv.Queue {
			return s.queue ^ 1<<30
		}),
		Entry("the request queue", "has the key", func(s *server) sysv.Queue { return s.queue }),
		Entry("a queue that others talk over", "is in use already", func(*server) sysv.Queue {
			q, _ := inBoth(message{1, "private"})
			DeferCleanup(func() { Expect(take(q, 0, 1)).To(Equal([]message{{1, "private"}})) })
			return q
		}),
		Entry("a queue without room for a reason why something failed", "takes 300 bytes, at least 512 are needed",
			func(*server) sysv.Queue { return newSysV(300) }),
	)

	It("a second request for a queue that is being served", func() {
		s, q := busyServer()
		s.ask(q, "other")
		Eventually(s.said).Should(ContainSubstring("is in use already"))
		mustGet(q, large)
	})
})

var _ = Describe("the baseline's client removes its queue", func() {
	DescribeTable("when a signal ends it in mid-transfer:", func(sig unix.Signal) {
		s, client, q := stuckClient()
		client.signal(sig)
		Expect(client.status()).To(Equal(128 + int(sig)))
		mustBeGone(q)
		s.mustServe()
	},
		Entry("SIGINT", unix.SIGINT), Entry("SIGTERM", unix.SIGTERM),
		Entry("SIGHUP", unix.SIGHUP), Entry("SIGUSR1", unix.SIGUSR1),
	)

	It("when its reader goes away, as if by SIGPIPE", func() {
		s, client, q := stuckClient()
		Expect(client.out.Close()).To(Succeed())
		Expect(client.status()).To(Equal(128 + int(unix.SIGPIPE)))
		Expect(client.said()).To(BeEmpty())
		mustBeGone(q)
		s.mustServe()
	})

	It("when somebody else removes it", func() {
		_, client, q := stuckClient()
		remove(q)
		status, _ := client.end()
		Expect(client.said()).To(ContainSubstring("msgrcv: no such queue"))
		Expect(status).To(Equal(1))
	})

	It("when no server answers for 10 s", func() {
		if testing.Short() {
			Skip("it takes 10 s")
		}
		q := makeSysV(newKey())
		silent := start("client", "--key", status(q).Key.String(), "file")
		Expect(silent.status()).To(Equal(3))
		Expect(silent.said()).To(Equal("svfile: no server: nothing from it for 10s\n"))
	})

	DescribeTable("or makes none:", func(code int, reason string, args ...string) {
		p := start("client", args...)
		Expect(p.status()).To(Equal(code))
		Expect(p.said()).To(HavePrefix("svfile: " + reason))
	},
		Entry("no server", 3, "no server: msgget with key 0x00000001: no such file or directory", "--key", "1", "file"),
		Entry("no path", 2, "one PATH is needed, not 0"),
		Entry("two paths", 2, "one PATH is needed, not 2", "a", "b"),
		Entry("an unknown flag", 2, "flag provided but not defined", "--no-such-flag", "a"),
		Entry("the key IPC_PRIVATE", 2, "invalid value", "--key=0", "a"),
		Entry("a path too long for any request", 2, "the path is longer than 4095 bytes", strings.Repeat("p", 4096)),
	)
})

var _ = Describe("the baseline, killed and stopped", func() {
	It("kill -9 of a child in mid-transfer: its client is told and exits 1, no zombie stays, the server goes on", func() {
		s, client, _ := stuckClient()
		child := s.onlyChild()
		Expect(unix.Kill(child, unix.SIGKILL)).To(Succeed())
		Eventually(s.children).Should(BeEmpty())
		status, got := client.end()
		Expect(len(got)).To(BeNumerically("<", len(large)))
		Expect(status).To(Equal(1))
		Expect(client.said()).To(Equal(fmt.Sprintf("svfile: large: the server's process %d for it was ended by SIGKILL\n", child)))
		s.mustServe()
	})

	It("kill -9 of a client: its queue stays for good, its child waits there until --stall has passed", func() {
		s, client, left := stuckClient("--stall", "100ms")
		client.signal(unix.SIGKILL)
		Expect(client.status()).To(Equal(128 + 9))
		s.mustServe()
		Expect(s.said()).To(ContainSubstring(fmt.Sprintf("if it has ended, remove its queue: ipcrm -q %d", left)))
		Expect(status(left).Messages).To(BeNumerically(">", 1), "DATA, and the FAILURE that nobody reads")
		Expect(left.Remove()).To(Succeed())
	})

	It("kill -9 of the server: its queue stays, its child finishes, the next server serves what waits", func() {
		s, running := busyServer()
		s.signal(unix.SIGKILL)
		Expect(s.status()).To(Equal(128 + 9))
		Expect(status(s.queue).Key).To(Equal(s.key))
		waiting := s.request("large")
		mustGet(running, large)
		next := startServerAt(s.key, s.root)
		Expect(next.said()).To(ContainSubstring("which a server that has ended had left, with 1 requests"))
		mustGet(waiting, large)
		next.mustServe()
	})

	DescribeTable("the server removes its queue, refuses what waits, lets children finish and exits 0 on", func(sig unix.Signal) {
		s, running := busyServer("--children", "1")
		waiting := s.request("large")
		s.signal(sig)
		_, failure := exchange(waiting)
		Expect(failure).To(Equal("the server is stopping"))
		mustBeGone(s.queue)
		mustGet(running, large)
		Expect(s.status()).To(BeZero())
	},
		Entry("SIGTERM", unix.SIGTERM), Entry("SIGINT", unix.SIGINT), Entry("SIGHUP", unix.SIGHUP),
	)

	It("the server ends children that go on for longer than 5 s, and tells their clients", func() {
		s, running := busyServer("--children", "1")
		s.signal(unix.SIGTERM)
		Expect(s.status()).To(BeZero())
		_, failure := exchange(running)
		Expect(failure).To(Equal("the server is stopping"))
	})

	It("the server says so and exits 1 when somebody removes its queue", func() {
		s := startServer()
		Eventually(aThreadSleeps).WithArguments(s.pid(), unix.SYS_MSGRCV).Should(BeTrue())
		remove(s.queue)
		Expect(s.status()).To(Equal(1))
		Expect(s.said()).To(HaveSuffix("msgrcv: no such queue\n"))
	})
})

var _ = Describe("the baseline's start", func() {
	It("lets one of many serve a queue that a crash has left, with all that waits in it", func() {
		crashed := startServer()
		crashed.put("file", []byte("content"))
		crashed.signal(unix.SIGKILL)
		crashed.status()
		var waiting []sysv.Queue
		for range 5 {
			waiting = append(waiting, crashed.request("file"))
		}
		ended := make(chan struct{}, 6)
		for range cap(ended) {
			p := start("server", "--root", crashed.root, "--key", crashed.key.String())
			go func() {
				<-p.ended
				ended <- struct{}{}
			}()
		}
		for _, q := range waiting {
			mustGet(q, []byte("content"))
		}
		Eventually(ended).Should(HaveLen(cap(ended) - 1))
	})

	DescribeTable("refuses, and leaves no queue:", func(reason string, change func(key sysv.Key) (args []string)) {
		key := newKey()
		p := start("server", append([]string{"--key", key.String()}, change(key)...)...)
		Expect(p.status()).To(Equal(1))
		Expect(p.said()).To(And(HavePrefix("svfiled: "), ContainSubstring(reason)))
	},
		Entry("a key that another server serves", " (server) receives from it; if that is no server, remove it: ipcrm -q",
			func(key sysv.Key) []string {
				s := startServerAt(key, GinkgoT().TempDir())
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
