package sysv_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
)

// Every spec of the suite ends with a look for queues that were left, where the suite has its own.
var _ = Describe("the baseline's client removes its queue and leaves no part of a file", func() {
	content := random(200_000)

	It("when the file has come whole, with -o into a file", func() {
		s := startServer()
		s.put("file", content)
		target := filepath.Join(GinkgoT().TempDir(), "target")
		Expect(os.WriteFile(target, []byte("old"), 0o600)).To(Succeed())
		code, out, said := s.fetch("-o", target, "file")
		Expect(said).To(MatchRegexp(`^Received 200000 bytes \(\d+ messages\)\n$`))
		Expect(out).To(BeEmpty())
		Expect(code).To(BeZero())
		Expect(os.ReadFile(target)).To(Equal(content))
		Expect(os.ReadDir(filepath.Dir(target))).To(HaveLen(1))
		s.mustBeIdle()
	})

	It("when the server refuses", func() {
		s := startServer()
		target := filepath.Join(GinkgoT().TempDir(), "target")
		code, _, said := s.fetch("-o", target, "missing")
		Expect(said).To(Equal("svfile: missing: no such file or directory\n"))
		Expect(code).To(Equal(1))
		Expect(os.ReadDir(filepath.Dir(target))).To(BeEmpty())
	})

	DescribeTable("when a signal ends it in mid-transfer:", func(sig unix.Signal) {
		s := startServer()
		s.put("file", content)
		client := s.stuck("file")
		client.signal(sig)
		Expect(client.status()).To(Equal(128 + int(sig)))
		mustBeGone(client.queue)
		s.mustBeIdle()
	},
		Entry("SIGINT", unix.SIGINT), Entry("SIGTERM", unix.SIGTERM),
		Entry("SIGHUP", unix.SIGHUP), Entry("SIGQUIT", unix.SIGQUIT),
		Entry("SIGALRM", unix.SIGALRM), Entry("SIGUSR1", unix.SIGUSR1), Entry("SIGABRT", unix.SIGABRT),
		Entry("SIGSEGV", unix.SIGSEGV), Entry("SIGXCPU", unix.SIGXCPU),
	)

	It("when its reader goes away, as if by SIGPIPE", func() {
		s := startServer()
		s.put("file", content)
		client := s.stuck("file")
		Expect(client.out.Close()).To(Succeed())
		Expect(client.status()).To(Equal(128 + int(unix.SIGPIPE)))
		Expect(client.stderr()).To(BeEmpty())
		mustBeGone(client.queue)
		s.mustBeIdle()
	})

	It("when its output cannot be written", func() {
		s := startServer()
		s.put("file", content)
		code, _, said := s.fetch("-o", "/dev/full", "file")
		Expect(said).To(Equal("svfile: /dev/full: no space left on device\n"))
		Expect(code).To(Equal(1))
		s.mustBeIdle()
	})

	It("when somebody else removes its queue", func() {
		s := startServer()
		s.put("file", content)
		client := s.stuck("file")
		remove(client.queue)
		client.goOn()
		Expect(client.status()).To(Equal(1))
		Expect(client.stderr()).To(ContainSubstring("msgrcv: no such queue"))
		s.mustBeIdle()
	})

	It("when there is no server", func() {
		p := start(exec.Command(program("svfile"), "--key", newKey().String(), "file"))
		Expect(p.status()).To(Equal(3))
		Expect(p.stderr()).To(MatchRegexp(`^svfile: no server: queue with key 0x[0-9a-f]{8}: msgget: no such queue\n$`))
	})

	DescribeTable("when the command line is wrong", func(reason string, args ...string) {
		p := start(exec.Command(program("svfile"), args...))
		Expect(p.status()).To(Equal(2))
		Expect(p.stderr()).To(HavePrefix("svfile: " + reason))
		Expect(p.stderr()).To(ContainSubstring("usage: svfile"))
	},
		Entry("no path", "one PATH is needed, not 0"),
		Entry("two paths", "one PATH is needed, not 2", "a", "b"),
		Entry("an unknown flag", "flag provided but not defined", "--no-such-flag", "a"),
		Entry("no key", "invalid value", "--key", "word", "a"),
		Entry("the key IPC_PRIVATE", "invalid value", "--key=0", "a"),
		Entry("a key's file that is not there", "invalid value", "--key", "./nowhere", "a"),
		Entry("a path too long for any request", "the path is longer than 4095 bytes", strings.Repeat("p", 4096)),
	)
})

func mustBeGone(q sysv.Queue) {
	GinkgoHelper()
	_, err := q.Look()
	Expect(err).To(MatchError(os.ErrNotExist))
}
