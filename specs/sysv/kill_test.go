package sysv_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

var _ = Describe("the baseline, killed and stopped", func() {
	large := random(1 << 20)

	It("kill -9 of a child in mid-transfer: its client is told and exits 1, no zombie stays, the server goes on", func() {
		s := startServer()
		s.put("large", large)
		client := s.stuck("large")
		child := s.onlyChild()
		Expect(unix.Kill(child, unix.SIGKILL)).To(Succeed())
		s.mustBeIdle()
		Expect(len(client.goOn())).To(BeNumerically("<", len(large)))
		Expect(client.status()).To(Equal(1))
		Expect(client.stderr()).To(Equal(fmt.Sprintf(
			"svfile: large: the server's process %d for it was ended by SIGKILL\n", child)))
		s.mustServe()
	})

	It("kill -9 of a client: its queue stays for good, its child waits there until --stall has passed", func() {
		s := startServer("--stall", "0.1")
		s.put("large", large)
		client := s.stuck("large")
		left := client.queue
		client.signal(unix.SIGKILL)
		Expect(client.status()).To(Equal(128 + 9))
		s.mustBeIdle()
		Expect(s.stderr()).To(ContainSubstring(fmt.Sprintf("if it has ended, remove its queue: ipcrm -q %d", left.ID())))
		Expect(status(left).Messages).To(BeNumerically(">", 1), "DATA, and the FAILURE that nobody reads")
		s.mustServe()
		Expect(left.Remove()).To(Succeed())
	})

	It("kill -9 of the server: its queue stays, its child finishes, the next server serves what waits", func() {
		s := startServer()
		s.put("large", large)
		running := s.request("large")
		s.onlyChild()
		s.signal(unix.SIGKILL)
		Expect(s.status()).To(Equal(128 + 9))
		Expect(status(s.queue).Key).To(Equal(s.key))

		s.put("small", []byte("small"))
		waiting := s.request("small")
		got, failure, err := exchange(running)
		Expect(err).NotTo(HaveOccurred())
		Expect(failure).To(BeEmpty())
		Expect(bytes.Equal(got, large)).To(BeTrue())

		next := startServerAt(s.key, s.root)
		Expect(next.stderr()).To(ContainSubstring("which a server that has ended had left, with 1 requests"))
		got, _, err = exchange(waiting)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(got)).To(Equal("small"))
		next.mustServe()
	})

	DescribeTable("the server removes its queue, refuses what waits, lets children finish and exits 0 on",
		func(sig unix.Signal) {
			s := startServer("--children", "1")
			s.put("large", large)
			running := s.request("large")
			s.onlyChild()
			waiting := s.request("large")
			s.signal(sig)
			_, failure, err := exchange(waiting)
			Expect(err).NotTo(HaveOccurred())
			Expect(failure).To(Equal("the server is stopping"))
			Eventually(func() error {
				_, err := sysv.Get(s.key, 0, 0)
				return err
			}).Should(MatchError(os.ErrNotExist))
			got, _, err := exchange(running)
			Expect(err).NotTo(HaveOccurred())
			Expect(bytes.Equal(got, large)).To(BeTrue())
			Expect(s.status()).To(BeZero())
		},
		Entry("SIGTERM", unix.SIGTERM), Entry("SIGINT", unix.SIGINT),
		Entry("SIGHUP", unix.SIGHUP), Entry("SIGQUIT", unix.SIGQUIT),
	)

	It("the server says so and exits 1 when somebody removes its queue", func() {
		s := startServer()
		Eventually(aThreadSleeps).WithArguments(s.pid(), unix.SYS_MSGRCV).Should(BeTrue())
		remove(s.queue)
		Expect(s.status()).To(Equal(1))
		Expect(s.stderr()).To(Equal(fmt.Sprintf("svfiled: queue %d (key %v): msgrcv: the queue was removed\n",
			s.queue.ID(), s.key)))
	})
})

var _ = Describe("the baseline's start", func() {
	// tryStart runs a server that must not come up.
	tryStart := func(args ...string) string {
		GinkgoHelper()
		p := start(exec.Command(program("svfiled"), args...))
		Expect(p.status()).To(Equal(1))
		return p.stderr()
	}

	It("refuses a key that another server serves, and names its PID", func() {
		s := startServer()
		s.mustServe() // after it has slept, the kernel notes the thread of a receiver, not the process
		Expect(tryStart("--key", s.key.String())).To(Equal(fmt.Sprintf("svfiled: queue %d (key %v): "+
			"process %d (svfiled) receives from it; if that is no server, remove it: ipcrm -q %d\n",
			s.queue.ID(), s.key, s.pid(), s.queue.ID())))
		s.mustServe()
	})

	It("lets one of many serve a queue that a crash has left, with all that waits in it", func() {
		const servers, requests = 6, 5
		crashed := startServer()
		crashed.put("file", []byte("content"))
		crashed.signal(unix.SIGKILL)
		crashed.status()
		var waiting []sysv.Queue
		for range requests {
			waiting = append(waiting, crashed.request("file"))
		}
		var all []*process
		for range servers {
			cmd := exec.Command(program("svfiled"), "--root", crashed.root, "--key", crashed.key.String())
			all = append(all, start(cmd))
		}
		for _, q := range waiting {
			got, _, err := exchange(q)
			Expect(string(got), err).To(Equal("content"))
		}
		Eventually(func() (living int) {
			for _, p := range all {
				select {
				case <-p.ended:
				default:
					living++
				}
			}
			return living
		}).Should(Equal(1))
	})

	It("refuses a queue that no server has ever received from", func() {
		key := newKey()
		q, err := sysv.Get(key, sysv.Create, 0o600)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(remove, q)
		Expect(tryStart("--key", key.String())).To(Equal(fmt.Sprintf("svfiled: queue %d (key %v): "+
			"is there, but no server to be seen; if there is none, remove it: ipcrm -q %d\n", q.ID(), key, q.ID())))
	})

	It("refuses the queue of another user", func() {
		needTwoUsers()
		key := newKey()
		q, err := sysv.Get(key, sysv.Create, 0o622)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(remove, q)
		settings := status(q).Settings()
		settings.UID = otherUser
		Expect(q.Set(settings)).To(Succeed())
		Expect(tryStart("--key", key.String())).To(ContainSubstring("belongs to user 65533, not to 0"))
	})

	It("refuses a root that is none, and leaves no queue", func() {
		key := newKey()
		Expect(tryStart("--key", key.String(), "--root", "/nowhere")).To(
			Equal("svfiled: open /nowhere: no such file or directory\n"))
		_, err := sysv.Get(key, 0, 0)
		Expect(err).To(MatchError(os.ErrNotExist))
	})

	It("makes a queue of mode 0622 with the key of a file, which svfile finds", func() {
		file := filepath.Join(GinkgoT().TempDir(), "key")
		Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
		key, err := wire.ParseKey(file)
		Expect(err).NotTo(HaveOccurred())
		s := startServerAt(key, GinkgoT().TempDir())
		Expect(status(s.queue).Mode).To(BeEquivalentTo(0o622))
		s.put("file", []byte("content"))
		out, err := exec.Command(program("svfile"), "--key", file, "file").Output()
		Expect(string(out), err).To(Equal("content"))
	})
})
