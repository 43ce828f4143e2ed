package mq_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/parts"
	"daemonlab/lab/procfs"
	"daemonlab/specs/inside"
)

var _ = Describe("F. mq_receive, mq_timedreceive: messages; waiting for a message", func() {
	It("mq_receive takes the oldest message of the highest priority; it tells length and priority", row(79), func() {
		q := newQueue(3, 16)
		Expect(q.TrySend([]byte("later"), 1)).To(Succeed())
		Expect(q.TrySend([]byte("now"), 7)).To(Succeed())
		Expect(q.TrySend([]byte("then"), 7)).To(Succeed())
		buf := make([]byte, 16)

		n, prio, err := q.TryReceive(buf)

		Expect(err).NotTo(HaveOccurred())
		Expect(string(buf[:n])).To(Equal("now"))
		Expect(prio).To(Equal(uint(7)))
		Expect(curMsgs(q)).To(Equal(2))
		Expect(rawReceive(number(q), buf, nil)).To(Equal(4), "without a place for the priority")
	})

	It("mq_receive wants room for mq_msgsize bytes, even if the message, which stays, has less: EMSGSIZE", row(80),
		func() {
			q := newQueue(1, 16)
			Expect(q.TrySend([]byte("x"), 0)).To(Succeed())
			Expect(q.TryReceive(make([]byte, 15))).Error().To(MatchError(unix.EMSGSIZE))
			Expect(receive(q)).To(Equal("x"))
		})

	It("mq_receive sleeps while the queue is empty, until a message comes", row(81), func() {
		b := openBlocking(newQueue(1, 16).Name(), os.O_RDWR)
		receiver, got := sleepingReceiver(b)
		Expect(b.Send([]byte("at last"), 0)).To(Succeed())
		Expect(receiver.Result()).To(Succeed())
		Expect(*got).To(Equal("at last"))
	})

	It("A signal handled without SA_RESTART ends a sleeping mq_receive: EINTR", row(82), func() {
		catch(false)
		receiver, _ := sleepingReceiver(openBlocking(newQueue(1, 16).Name(), os.O_RDWR))
		receiver.Signal(unix.SIGUSR2)
		Expect(receiver.Result()).To(MatchError(unix.EINTR))
	})

	It("A signal handled with SA_RESTART leaves mq_timedreceive asleep, to the same deadline", row(82), func() {
		caught := catch(true)
		b, deadline := openBlocking(newQueue(1, 16).Name(), os.O_RDWR), fromNow(100*time.Millisecond)
		receiver := inside.StartAsleep(unix.SYS_MQ_TIMEDRECEIVE, func() error {
			_, _, err := b.TimedReceive(make([]byte, 16), &deadline)
			return err
		})

		receiver.Signal(unix.SIGUSR2)

		Eventually(caught).Should(Receive())
		Expect(receiver.Result()).To(MatchError(unix.ETIMEDOUT))
		Expect(time.Now()).NotTo(BeTemporally("<", time.Unix(deadline.Unix())))
	})

	It("With O_NONBLOCK mq_receive never waits: EAGAIN", row(83), func() {
		Expect(receiveError(newQueue(1, 16))).To(MatchError(unix.EAGAIN))
	})
})

var _ = Describe("F. mq_receive, mq_timedreceive: descriptors and deadlines; losing one", func() {
	It("mq_receive wants a descriptor of a queue that can receive: EBADF", row(84), func() {
		for _, fd := range []int{-1, newMailbox().fd, number(open(newQueue(1, 16).Name(), os.O_WRONLY))} {
			Expect(rawReceive(fd, make([]byte, 16), nil)).Error().To(MatchError(unix.EBADF))
		}
	})

	It("mq_timedreceive gives up at its deadline, at once if that is past: ETIMEDOUT", row(85), func() {
		b, soon := openBlocking(newQueue(1, 16).Name(), os.O_RDWR), fromNow(10*time.Millisecond)
		for _, deadline := range []unix.Timespec{past, soon} {
			Expect(b.TimedReceive(make([]byte, 16), &deadline)).Error().To(MatchError(unix.ETIMEDOUT))
			Expect(time.Now()).NotTo(BeTemporally("<", time.Unix(deadline.Unix())))
		}
	})

	It("mq_timedreceive takes a message that is there, even if the deadline is past", row(86), func() {
		b := fullQueue()
		n, _, err := b.TimedReceive(make([]byte, 16), &past)
		Expect(err).NotTo(HaveOccurred())
		Expect(n).To(Equal(len("fills it")))
	})

	It("mq_timedreceive refuses a deadline that is no time even if there is a message: EINVAL", row(87), func() {
		b := fullQueue()
		for _, deadline := range wrongTimes {
			Expect(b.TimedReceive(make([]byte, 16), &deadline)).Error().To(MatchError(unix.EINVAL))
		}
		Expect(receive(b)).To(Equal("fills it"))
	})

	It("mq_receive loses the message if it cannot write it, or its priority, where it should: EFAULT", row(88), func() {
		b := fullQueue()
		fd := number(b)
		Expect(receiveInto(fd, badPointer, 16, 0, 0)).Error().To(MatchError(unix.EFAULT))
		Expect(curMsgs(b)).To(Equal(0))
		Expect(b.Send([]byte("another"), 0)).To(Succeed())
		Expect(receiveWithBadPriority(fd, make([]byte, 16))).To(MatchError(unix.EFAULT))
		Expect(curMsgs(b)).To(Equal(0))
	})
})

var _ = Describe("F. mq_receive, mq_timedreceive: several receivers", func() {
	It("Sleeping receivers get messages as they are sent, whatever the priority, the longest waiter first", row(89),
		func() {
			b := openBlocking(newQueue(2, 16).Name(), os.O_RDWR)
			first, gotFirst := sleepingReceiver(b)
			second, gotSecond := sleepingReceiver(b)

			Expect(b.Send([]byte("sent first"), 1)).To(Succeed())
			Expect(b.Send([]byte("sent second"), 9)).To(Succeed())

			Expect(first.Result()).To(Succeed())
			Expect(second.Result()).To(Succeed())
			Expect([]string{*gotFirst, *gotSecond}).To(Equal([]string{"sent first", "sent second"}))
		})

	It("A sleeping receiver of higher thread priority is served before one that has waited longer", row(89), func() {
		b := openBlocking(newQueue(1, 16).Name(), os.O_RDWR)
		patient := inside.StartAsleep(unix.SYS_MQ_TIMEDRECEIVE, func() error {
			if err := lowerPriority(); err != nil {
				return err
			}
			_, _, err := b.Receive(make([]byte, 16))
			return err
		})
		important, got := sleepingReceiver(b)

		Expect(b.Send([]byte("one"), 0)).To(Succeed())

		Expect(important.Result()).To(Succeed())
		Expect(*got).To(Equal("one"))
		Expect(b.Send([]byte("two"), 0)).To(Succeed())
		Expect(patient.Result()).To(Succeed())
	})

	It("A message for a sleeping receiver never enters the queue: it is not counted and wakes no poller", row(90), func() {
		const handOvers = 20
		b := openBlocking(newQueue(1, 16).Name(), os.O_RDWR)
		var waking int64
		poller := inside.StartAsleep(unix.SYS_PPOLL, func() error {
			before := switches()
			_, err := unix.Ppoll([]unix.PollFd{{Fd: int32(number(b)), Events: unix.POLLIN}}, nil, nil)
			waking = switches() - before
			return err
		})

		for range handOvers {
			receiver, _ := sleepingReceiver(b)
			Expect(b.Send([]byte("handed over"), 0)).To(Succeed())
			Expect(curMsgs(b)).To(Equal(0))
			Expect(receiver.Result()).To(Succeed())
		}

		Expect(b.Send([]byte("queued"), 0)).To(Succeed())
		Expect(poller.Result()).To(Succeed())
		Expect(waking).To(BeNumerically("<", handOvers/2), "the poller slept once, not once a message")
	})
})

var _ = Describe("F. mq_receive, mq_timedreceive: under Go", func() {
	It("Closing its descriptor does not wake a thread that sleeps in mq_receive", row(91), func() {
		q := newQueue(1, 16)
		b := openBlocking(q.Name(), os.O_RDWR)
		receiver, got := sleepingReceiver(b)
		Expect(b.Close()).To(Succeed())
		Expect(q.TrySend([]byte("after the close"), 0)).To(Succeed())
		Expect(receiver.Result()).To(Succeed())
		Expect(*got).To(Equal("after the close"))
	})

	It("A receiver that sleeps in the kernel costs Go a thread, one that waits in the poller none", row(91), func() {
		const receivers = 30
		b := openBlocking(newQueue(1, 16).Name(), os.O_RDWR)
		before := threads()
		var sleeping []inside.Thread
		for range receivers {
			th, _ := sleepingReceiver(b)
			sleeping = append(sleeping, th)
		}
		Expect(threads()-before).To(BeNumerically(">=", receivers-10), "some of those before may have ended")

		before = threads()
		for range receivers {
			q := open(b.Name(), os.O_RDONLY)
			go q.Receive(context.Background(), make([]byte, 16))
		}
		parked(receivers)
		Expect(threads()-before).To(BeNumerically("<=", 10), "Go may have started some for other reasons")

		for _, th := range sleeping {
			Expect(b.Send(nil, 0)).To(Succeed())
			Expect(th.Result()).To(Succeed())
		}
	})

	It("A call that sleeps in RawSyscall, unknown to Go's scheduler, stops the whole program", row(92), func() {
		Expect(parts.Run("collect garbage behind a receiver", "RawSyscall")).To(Equal("waited"))
		Expect(parts.Run("collect garbage behind a receiver", "Syscall")).To(Equal("did not wait"))
	})
})

func init() {
	parts.Add("collect garbage behind a receiver", func(args []string) error {
		runtime.GOMAXPROCS(2)
		q, err := mq.OpenBlocking(newName(), newOne, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 16})
		if err != nil {
			return err
		}
		defer mq.Unlink(q.Name())
		receive := receiver(rawReceive)
		if args[0] == "RawSyscall" {
			receive = unscheduledReceive
		}
		// Far longer than a collection takes here when it does not block. A shorter time proves that it did not; a
		// longer one may only mean a slow machine, so it must also be longer at the longer times.
		begin := time.Now()
		runtime.GC()
		patience := max(200*time.Millisecond, 20*time.Since(begin))
		for waited := 0; waited < 4; patience *= 2 {
			collected, waits, err := collectBehind(q, receive, patience)
			if err != nil {
				return err
			}
			if collected && !waits {
				fmt.Println("did not wait")
				return nil
			}
			if collected {
				waited++
			}
		}
		fmt.Println("waited")
		return nil
	})
}

// receiver is some way of calling mq_timedreceive(2).
type receiver func(fd int, buf []byte, deadline *unix.Timespec) (int, error)

// collectBehind collects garbage while a thread sleeps in receive, and reports whether that took until the thread
// woke. It does not collect if the thread woke earlier.
func collectBehind(q *mq.Blocking, receive receiver, patience time.Duration) (collected, waited bool, err error) {
	deadline, err := unix.TimeToTimespec(time.Now().Add(patience))
	if err != nil {
		return false, false, err
	}
	var fd int
	q.Control(func(n uintptr) { fd = int(n) })
	th := inside.StartThread(func() error {
		_, err := receive(fd, make([]byte, 16), &deadline)
		return err
	})
	for asleep := false; !asleep; {
		asleep, _ = inside.SleepsIn(fmt.Sprintf("/proc/self/task/%d", th.TID), unix.SYS_MQ_TIMEDRECEIVE)
		if !time.Now().Before(time.Unix(deadline.Unix())) {
			return false, false, nil
		}
	}
	runtime.GC()
	return true, !time.Now().Before(time.Unix(deadline.Unix())), nil
}

// switches returns the calling thread's voluntary context switches.
func switches() int64 {
	var usage unix.Rusage
	unix.Getrusage(unix.RUSAGE_THREAD, &usage)
	return usage.Nvcsw
}

// threads returns this process's number of threads.
func threads() int {
	GinkgoHelper()
	return must(procfs.New("/proc").Process(os.Getpid()).Status()).Threads
}
