package mq_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/parts"
	"daemonlab/specs/inside"
)

// pollNow returns what poll(2) reports of a descriptor, without waiting.
func pollNow(fd int) int16 {
	GinkgoHelper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT}}
	must(unix.Poll(fds, 0))
	return fds[0].Revents
}

// edges watches a descriptor with edge-triggered epoll, as Go's poller does.
func edges(fd int) (epoll int) {
	GinkgoHelper()
	epoll = owned(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}
	Expect(unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &event)).To(Succeed())
	return epoll
}

// edge reports whether there was an edge since the last call.
func edge(epoll int) bool {
	GinkgoHelper()
	return must(unix.EpollWait(epoll, make([]unix.EpollEvent, 1), 0)) == 1
}

var _ = Describe("G. poll and epoll on a queue: what is told; edges", func() {
	It("poll says readable while there are messages, writable while there is room, to who may not as well", row(93),
		func() {
			q := newQueue(2, 16)
			writer := number(open(q.Name(), os.O_WRONLY))
			Expect(pollNow(writer)).To(BeEquivalentTo(unix.POLLOUT))
			Expect(q.TrySend(nil, 0)).To(Succeed())
			Expect(pollNow(writer)).To(BeEquivalentTo(unix.POLLIN | unix.POLLOUT))
			Expect(q.TrySend(nil, 0)).To(Succeed())
			Expect(pollNow(writer)).To(BeEquivalentTo(unix.POLLIN))
		})

	DescribeTable("edge-triggered", func(maxMsg int) {
		const processes, receivers, each = 3, 3, 1000
		q := newQueue(maxMsg, 16)
		numbers := make(chan string, processes*each)
		ctx, cancel := context.WithTimeout(context.Background(), inside.Patience)
		defer cancel()
		for range receivers {
			reader := open(q.Name(), os.O_RDONLY)
			go receiveInPoller(ctx, reader, numbers)
		}

		var senders sync.WaitGroup
		for i := range processes {
			senders.Go(func() {
				defer GinkgoRecover()
				must(parts.Run("send numbers", q.Name(), strconv.Itoa(i*each), strconv.Itoa((i+1)*each)))
			})
		}
		senders.Wait()

		came := map[string]int{}
		for range processes * each {
			var number string
			Eventually(numbers).Should(Receive(&number))
			came[number]++
		}
		Expect(came).To(HaveLen(processes*each), "each of them once")
	},
		Entry("An edge-triggered poller loses nothing, if everybody retries until EAGAIN before he waits", row(94), 10),
		Entry("An edge-triggered poller loses nothing with a queue of one message either", row(94), 1),
	)

	It("A sleeping sender's message that slides into the full queue raises no edge: read until EAGAIN", row(95), func() {
		b := fullQueue()
		epoll := edges(number(b))
		Expect(edge(epoll)).To(BeTrue())
		sender := sleepingSender(b, "slides in", 0)

		Expect(receive(b)).To(Equal("fills it"))

		Expect(sender.Result()).To(Succeed())
		Expect(edge(epoll)).To(BeFalse())
		Expect(pollNow(number(b))).To(BeEquivalentTo(unix.POLLIN))
		Expect(receive(b)).To(Equal("slides in"))
	})
})

var _ = Describe("G. poll and epoll on a queue: who is woken; who is first", func() {
	It("Every message wakes everybody who polls, not only one", row(96), func() {
		q := newQueue(1, 16)
		var pollers []inside.Thread
		for range 8 {
			fd := int32(number(open(q.Name(), os.O_RDONLY)))
			pollers = append(pollers, inside.StartAsleep(unix.SYS_PPOLL, func() error {
				_, err := unix.Ppoll([]unix.PollFd{{Fd: fd, Events: unix.POLLIN}}, nil, nil)
				return err
			}))
		}

		Expect(q.TrySend(nil, 0)).To(Succeed())

		for _, th := range pollers {
			Expect(th.Result()).To(Succeed())
		}
	})

	It("A receiver that sleeps in the kernel gets every message before one that polls", row(97), func() {
		const messages = 100
		q := newQueue(1, 16)
		b := openBlocking(q.Name(), os.O_RDWR)
		ctx, cancel := context.WithCancel(context.Background())
		polled, ended := make(chan string, messages), make(chan bool)
		go func() {
			receiveInPoller(ctx, q, polled)
			close(ended)
		}()
		parked(1)

		for range messages {
			receiver, _ := sleepingReceiver(b)
			Expect(b.Send([]byte("x"), 0)).To(Succeed())
			Expect(receiver.Result()).To(Succeed())
		}
		cancel()

		Eventually(ended).Should(BeClosed())
		Expect(polled).To(BeEmpty())
	})

	It("A sender that sleeps in the kernel gets all room before one that polls", row(97), func() {
		const messages = 100
		b := fullQueue()
		q := open(b.Name(), os.O_RDWR)
		ctx, cancel := context.WithCancel(context.Background())
		polled := make(chan error)
		go func() { polled <- q.Send(ctx, []byte("polled"), 0) }()
		parked(1)

		for range messages {
			sender := sleepingSender(b, "slept", 0)
			Expect(receive(b)).NotTo(Equal("polled"))
			Expect(sender.Result()).To(Succeed())
		}
		cancel()

		Eventually(polled).Should(Receive(MatchError(context.Canceled)))
	})
})

var _ = Describe("G. poll and epoll on a queue: Go's poller", func() {
	It("A deadline of an os.File is for all who wait on it; the package gives each call its own", row(98), func() {
		q := newQueue(1, 16)
		fd := must(unix.Dup(number(q)))
		file := os.NewFile(uintptr(fd), "queue")
		DeferCleanup(file.Close)
		conn := must(file.SyscallConn())
		endless := make(chan error)
		go func() { endless <- conn.Read(func(uintptr) bool { return false }) }()
		Expect(file.SetReadDeadline(time.Now())).To(Succeed()) // meant for another caller
		Eventually(endless).Should(Receive(MatchError(os.ErrDeadlineExceeded)))

		patient := make(chan error)
		go func() { _, _, err := q.Receive(context.Background(), make([]byte, 16)); patient <- err }()
		parked(1)
		hurried, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		Expect(q.Receive(hurried, make([]byte, 16))).Error().To(MatchError(context.DeadlineExceeded))
		Expect(q.TrySend(nil, 0)).To(Succeed())
		Eventually(patient).Should(Receive(Succeed()))
	})

	It("Close ends a call that waits in Go's poller", row(99), func() {
		q := newQueue(1, 16)
		ended := make(chan error)
		go func() { _, _, err := q.Receive(context.Background(), make([]byte, 16)); ended <- err }()
		parked(1)
		Expect(q.Close()).To(Succeed())
		Eventually(ended).Should(Receive(MatchError(os.ErrClosed)))
	})
})

// receiveInPoller receives until ctx is done.
func receiveInPoller(ctx context.Context, q *mq.Queue, messages chan<- string) {
	for buf := make([]byte, 16); ; {
		n, _, err := q.Receive(ctx, buf)
		if err != nil {
			return
		}
		messages <- string(buf[:n])
	}
}

func init() {
	parts.Add("send numbers", func(args []string) error {
		first, err1 := strconv.Atoi(args[1])
		end, err2 := strconv.Atoi(args[2])
		q, err := mq.Open(args[0], os.O_WRONLY, 0, nil)
		if err := errors.Join(err1, err2, err); err != nil {
			return err
		}
		defer q.Close()
		for i := first; i < end; i++ {
			if err := q.Send(context.Background(), fmt.Append(nil, i), 0); err != nil {
				return err
			}
		}
		return nil
	})
}
