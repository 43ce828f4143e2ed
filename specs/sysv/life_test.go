package sysv_test

import (
	"bufio"
	"fmt"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/sysv"
)

var _ = Describe("life and end of a queue", func() {
	It("keeps messages when every process that used it has ended, as a POSIX queue does", func() {
		key, name := newKey(), newName()
		perform("send and end", int32(key), name)
		q, err := sysv.Get(key, 0, 0)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(remove, q)
		DeferCleanup(mq.Unlink, name)
		p, err := mq.OpenBlocking(name, os.O_RDWR, 0, nil)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(p.Close)
		Expect(take(q, 0, 0).text).To(Equal("left"))
		Expect(fetch(p).text).To(Equal("left"))
	})

	It("removes a queue at once, messages and all; a POSIX queue loses its name and lives until it is closed", func() {
		q, p := newSysV(), newPOSIX()
		send(q, message{1, "lost"})
		post(p, message{1, "kept"})
		remove(q)
		Expect(mq.Unlink(p.Name())).To(Succeed())
		Expect(noMessage(q, 0, 0)).To(MatchError(unix.EINVAL))
		_, err := mq.Open(p.Name(), os.O_RDWR, 0, nil)
		Expect(err).To(MatchError(unix.ENOENT))
		Expect(fetch(p).text).To(Equal("kept"))
	})

	It("wakes who waits when it is removed, with EIDRM; mq_unlink wakes nobody", func() {
		q, full, p := newSysV(), newSysV(), newPOSIX()
		setBytes(full, 0)
		receiver := sleepingReceiver(q, 0)
		sender := startThread(func() error { return full.Send(1, []byte("x"), 0) })
		sender.asleepIn(unix.SYS_MSGSND)
		remove(q)
		remove(full)
		Expect(receiver.result()).To(MatchError(unix.EIDRM))
		Expect(sender.result()).To(MatchError(unix.EIDRM))

		waiting := sleepingMQReceiver(p)
		Expect(mq.Unlink(p.Name())).To(Succeed())
		waiting.asleepIn(unix.SYS_MQ_TIMEDRECEIVE)
		post(p, message{1, "x"})
		Expect(waiting.result()).To(Succeed())
	})

	It("stays when the process that made it is killed; an unlinked POSIX queue goes with its last user", func() {
		setLimit("fs/mqueue/queues_max", 1)
		holder := actor("hold", newName())
		out, err := holder.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(holder.Start()).To(Succeed())
		DeferCleanup(func() {
			holder.Process.Kill()
			holder.Wait()
		})
		id, err := bufio.NewReader(out).ReadString('\n')
		Expect(err).NotTo(HaveOccurred())
		name := newName()
		attr := &mq.Attr{MaxMsg: 1, MsgSize: 1}
		_, err = mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, attr)
		Expect(err).To(MatchError(unix.ENOSPC), "the holder's queue counts, though it has no name")

		Expect(holder.Process.Kill()).To(Succeed())
		Expect(holder.Wait()).NotTo(Succeed())
		p, err := mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, attr)
		Expect(err).NotTo(HaveOccurred(), "the holder's queue is gone")
		Expect(mq.Unlink(name)).To(Succeed())
		Expect(p.Close()).To(Succeed())
		var number int
		Expect(fmt.Sscan(id, &number)).To(Equal(1))
		q := sysv.ByID(number)
		Expect(take(q, 0, 0).text).To(Equal("left"))
		remove(q)
	})
})
