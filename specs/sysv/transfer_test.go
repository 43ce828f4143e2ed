package sysv_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// random is content that no program can have guessed.
func random(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size), 1}).Read(b)
	return b
}

var _ = Describe("the baseline serves files", func() {
	It("of every size around a whole number of messages", func() {
		s := startServer()
		l, err := sysv.SystemLimits()
		Expect(err).NotTo(HaveOccurred())
		piece := wire.PieceSize(l.MsgMnb, l.MsgMax)
		for _, size := range []int{0, 1, piece - 1, piece, piece + 1, 2 * piece, 20*piece + 7} {
			content := random(size)
			s.put("sized", content)
			got, failure, err := exchange(s.request("sized"))
			Expect(err).NotTo(HaveOccurred())
			Expect(failure).To(BeEmpty())
			Expect(bytes.Equal(got, content)).To(BeTrue(), "%d bytes came as %d", size, len(got))
		}
	})

	It("in directories, with names of any bytes, and with a leading slash", func() {
		s := startServer()
		for _, name := range []string{"a/b/c", "with spaces", "ñandú 文件", "new\nline", "%s%n", strings.Repeat("n", 255)} {
			s.put(name, []byte(name))
			for _, path := range []string{name, "/" + name} {
				got, failure, err := exchange(s.request(path))
				Expect(err).NotTo(HaveOccurred())
				Expect(failure).To(BeEmpty())
				Expect(string(got)).To(Equal(name))
			}
		}
	})

	It("of 256 MiB, by svfile, byte for byte", func() {
		const size = 256 << 20
		s := startServer()
		want := sparse(filepath.Join(s.root, "large"), size)
		sum := sha256.New()
		cmd := s.command("large")
		cmd.Stdout = sum
		client := start(cmd)
		Expect(client.status()).To(BeZero(), client.stderr())
		Expect(sum.Sum(nil)).To(Equal(want))
		l, err := sysv.SystemLimits()
		Expect(err).NotTo(HaveOccurred())
		piece := wire.PieceSize(l.MsgMnb, l.MsgMax)
		Expect(client.stderr()).To(Equal(fmt.Sprintf("Received %d bytes (%d messages)\n", size, (size+piece-1)/piece)))
		s.mustBeIdle()
	})

	It("1,000 times to 8 clients at once, and leaves neither a zombie nor a queue", func() {
		const clients, each = 8, 125
		s := startServer()
		content := random(1000)
		s.put("small", content)
		var group sync.WaitGroup
		for range clients {
			group.Go(func() {
				defer GinkgoRecover()
				for range each {
					got, failure, err := fetchOnce(s, "small")
					Expect(err).NotTo(HaveOccurred())
					Expect(failure).To(BeEmpty())
					Expect(bytes.Equal(got, content)).To(BeTrue())
				}
			})
		}
		group.Wait()
		s.mustBeIdle()
		Expect(strings.Count(s.stderr(), "sent \"small\"")).To(Equal(clients * each))
	})

	It("at most --children at a time; further requests wait in the queue", func() {
		s := startServer("--children", "2")
		s.put("large", random(100_000))
		s.put("small", []byte("small"))
		first, second := s.request("large"), s.request("large")
		Eventually(func() int { return status(first).Messages * status(second).Messages }).Should(Equal(4))
		third := s.request("small")
		Consistently(func() int { return status(s.queue).Messages }, "20ms").Should(Equal(1), "with both children busy")
		Expect(s.children()).To(HaveLen(2))
		_, _, err := exchange(first)
		Expect(err).NotTo(HaveOccurred())
		got, _, err := exchange(third)
		Expect(string(got), err).To(Equal("small"))
		_, _, err = exchange(second)
		Expect(err).NotTo(HaveOccurred())
		s.mustBeIdle()
	})

	DescribeTable("and tells at once why it cannot", func(path, reason string, make func(file string)) {
		s := startServer()
		make(filepath.Join(s.root, path))
		status, out, said := s.fetch(path)
		Expect(status).To(Equal(1))
		Expect(out).To(BeEmpty())
		Expect(said).To(Equal("svfile: " + path + ": " + reason + "\n"))
		s.mustServe()
	},
		Entry("a missing file", "missing", "no such file or directory", func(string) {}),
		Entry("a directory", "dir", "not a regular file", func(file string) { Expect(os.Mkdir(file, 0o755)).To(Succeed()) }),
		Entry("the root", "/", "not a regular file", func(string) {}),
		Entry("a FIFO", "fifo", "not a regular file", func(file string) { Expect(unix.Mkfifo(file, 0o644)).To(Succeed()) }),
		Entry("an empty path", "", "empty path", func(string) {}),
		Entry("a name that is too long", strings.Repeat("n", 256), "file name too long", func(string) {}),
		Entry("a path out of the root", "../secret", "path escapes from parent", secretBeside),
		Entry("a link out of the root", "link", "path escapes from parent", func(file string) {
			secretBeside(file)
			Expect(os.Symlink("../secret", file)).To(Succeed())
		}),
		Entry("an absolute link", "link", "path escapes from parent", func(file string) {
			Expect(os.Symlink("/etc/passwd", file)).To(Succeed())
		}),
		Entry("a link of /proc", "link", "path escapes from parent", func(file string) {
			Expect(os.Symlink("/proc/self/root/etc/passwd", file)).To(Succeed())
		}),
	)
})

func secretBeside(file string) {
	secret := filepath.Join(filepath.Dir(file), "..", "secret")
	if filepath.Base(file) == "secret" {
		secret = file
	}
	Expect(os.WriteFile(secret, []byte("secret"), 0o600)).To(Succeed())
}

// sparse makes a large file of zeros with a mark here and there, and returns its SHA-256.
func sparse(name string, size int64) []byte {
	GinkgoHelper()
	f, err := os.Create(name)
	Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	Expect(f.Truncate(size)).To(Succeed())
	for offset := int64(0); offset < size; offset += 777_777 {
		_, err := f.WriteAt(fmt.Append(nil, "at ", offset), offset)
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(f.Truncate(size)).To(Succeed())
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	Expect(err).NotTo(HaveOccurred())
	return sum.Sum(nil)
}

// fetchOnce is a client's whole life, for many of them at once.
func fetchOnce(s *server, path string) (content []byte, failure string, err error) {
	q, err := sysv.Get(sysv.Private, sysv.Create, wire.QueueMode)
	if err != nil {
		return nil, "", err
	}
	defer q.Remove()
	if err := s.send(wire.Request{Queue: q.ID(), Path: path}.Append(nil)); err != nil {
		return nil, "", err
	}
	return exchange(q)
}

// mustBeIdle waits until no child is left, zombie or not.
func (s *server) mustBeIdle() {
	GinkgoHelper()
	Eventually(s.children).Should(BeEmpty(), "children, zombies among them")
	Expect(status(s.queue).Messages).To(BeZero())
}
