package sysv_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// named is a well-formed request with any number for a queue.
func named(queue int32, path string) []byte {
	return append(append(binary.NativeEndian.AppendUint32(nil, uint32(queue)), path...), 0)
}

var _ = Describe("the baseline drops, logs and goes on after", func() {
	DescribeTable("a message that is no request:", func(mtype int, message []byte) {
		s := startServer()
		Expect(s.sendRaw(mtype, message)).To(Succeed())
		Eventually(s.says("dropped a request: malformed request: ")).Should(BeTrue())
		s.mustServe()
		s.mustBeIdle()
	},
		Entry("an empty one", 1, nil),
		Entry("one byte", 1, []byte{1}),
		Entry("a queue without a path", 1, []byte{1, 2, 3, 4}),
		Entry("a path that is not terminated", 1, []byte("1234path")),
		Entry("bytes after the path's NUL", 1, named(1, "path\x00more")),
		Entry("a path longer than any", 1, named(1, strings.Repeat("p", 4096))),
		Entry("one of the longest", 1, bytes.Repeat([]byte{'x'}, 8192)),
		Entry("one of another type", 4711, []byte("1234path")),
		Entry("one of the highest type", math.MaxInt, nil),
	)

	DescribeTable("a request that names a queue that is not its client's:", func(number func(s *server) int32, reason string) {
		s := startServer()
		s.put("file", random(100_000))
		Expect(s.sendRaw(wire.RequestType, named(number(s), "file"))).To(Succeed())
		Eventually(s.says("dropped a request: queue ")).Should(BeTrue())
		Expect(s.stderr()).To(ContainSubstring(reason))
		s.mustServe()
		s.mustBeIdle()
	},
		Entry("none", func(*server) int32 {
			q := newSysV()
			remove(q)
			return int32(q.ID())
		}, "no such queue"),
		Entry("a negative number", func(*server) int32 { return -1 }, "no such queue"),
		Entry("a place in the table, but another count", func(s *server) int32 { return int32(s.queue.ID()) ^ 1<<30 },
			"no such queue"),
		Entry("the request queue", func(s *server) int32 { return int32(s.queue.ID()) }, "is the request queue itself"),
		Entry("a queue with a key", func(*server) int32 {
			q, err := sysv.Get(newKey(), sysv.Create, 0o622)
			Expect(err).NotTo(HaveOccurred())
			DeferCleanup(remove, q)
			return int32(q.ID())
		}, "has the key"),
		Entry("a queue that others talk over", func(*server) int32 {
			q := newSysV()
			send(q, message{1, "private"})
			DeferCleanup(func() { Expect(takeAll(q, 0, 1)).To(Equal([]message{{1, "private"}})) })
			return int32(q.ID())
		}, "is in use already"),
		Entry("a queue that others have talked over", func(*server) int32 {
			q := newSysV()
			send(q, message{1, "private"})
			take(q, 0, 0)
			return int32(q.ID())
		}, "is in use already"),
		Entry("a queue without room for a reason why something failed", func(*server) int32 {
			q := newSysV()
			setBytes(q, 300)
			return int32(q.ID())
		}, "takes 300 bytes, at least 512 are needed"),
	)

	It("a second request for a queue that is being served", func() {
		s := startServer()
		s.put("file", random(100_000))
		s.put("other", random(100_000))
		q := s.request("file")
		s.onlyChild()
		s.ask(q.ID(), "other")
		Eventually(s.says("is in use already")).Should(BeTrue())
		got, _, err := exchange(q)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(got, random(100_000))).To(BeTrue())
		s.mustBeIdle()
	})

	It("a thousand random messages", func() {
		s := startServer()
		noise := random(1 << 20)
		for i := range 1000 {
			Expect(s.sendRaw(1+i, noise[i*1000:][:i])).To(Succeed())
		}
		s.mustServe()
		s.mustBeIdle()
		Expect(strings.Count(s.stderr(), "dropped a request")).To(Equal(1000))
	})
})
