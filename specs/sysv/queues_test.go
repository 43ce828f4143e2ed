package sysv_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/parts"
	"daemonlab/lab/sysv"
	"daemonlab/specs/inside"
)

var _ = Describe(compares+"names and permissions", func() {
	It("finds a queue by a key, unless it was made with IPC_PRIVATE; mq_open by a name, unless that is unlinked", func() {
		key, p := newKey(), newPOSIX()
		q, private := makeSysV(key), newSysV()
		Expect(sysv.Get(key, 0, 0o600)).To(Equal(q))
		Expect(only(sysv.Get(key, sysv.Create|sysv.Exclusive, 0o600))).To(MatchError(os.ErrExist))
		Expect(status(private).Key).To(Equal(sysv.Private))
		Expect(newSysV()).NotTo(Equal(private))

		again := must(openPOSIX(p.Name(), 0, 0))
		defer again.Close()
		Expect(only(openPOSIX(p.Name(), os.O_CREATE|os.O_EXCL, 4))).To(MatchError(os.ErrExist))
		post(p, message{1, "before"})
		Expect(mq.Unlink(p.Name())).To(Succeed())
		Expect(only(openPOSIX(p.Name(), 0, 0))).To(MatchError(unix.ENOENT))
		post(p, message{1, "after"})
		Expect(fetch(again, 2)).To(Equal([]message{{1, "before"}, {1, "after"}}))
	})

	It("has ftok make a key of 16 bits of an inode, so a file replaced has another key; a name says what it is", func() {
		dir := GinkgoT().TempDir()
		name := filepath.Join(dir, "name")
		for range 2 {
			Expect(os.Rename(must(os.CreateTemp(dir, "")).Name(), name)).To(Succeed())
			var st unix.Stat_t
			Expect(unix.Stat(name, &st)).To(Succeed())
			Expect(sysv.FileKey(name, 'x')).To(BeEquivalentTo('x'<<24 | st.Dev&0xff<<16 | st.Ino&0xffff))
		}
	})

	It("is a number that every process can use at once; a POSIX queue has to be opened or inherited", func() {
		q, p := newSysV(), newPOSIX()
		must(parts.Run("send by number", fmt.Sprint(int(q)), fmt.Sprint(descriptor(p))))
		Expect(take(q, 0, 1)).To(Equal([]message{{1, "by number"}}))
	})

	It("does not give the number of a removed queue to the next; a descriptor's number comes again at once", func() {
		old := newSysV()
		remove(old)
		for range 10 {
			Expect(newSysV()).NotTo(Equal(old))
		}
		Expect(old.Send(1, nil, 0)).To(And(MatchError(unix.EINVAL), MatchError(os.ErrNotExist)))
		p := newPOSIX()
		fd := descriptor(p)
		Expect(p.Close()).To(Succeed())
		Expect(descriptor(newPOSIX())).To(Equal(fd))
	})

	It("takes no umask from a queue's mode; mq_open does", func() {
		defer unix.Umask(unix.Umask(0o077))
		q := must(sysv.Get(sysv.Private, sysv.Create, 0o622))
		defer remove(q)
		Expect(status(q).Mode).To(BeEquivalentTo(0o622))
		var st unix.Stat_t
		Expect(unix.Fstat(descriptor(newPOSIX()), &st)).To(Succeed())
		Expect(st.Mode & 0o777).To(BeEquivalentTo(0o600))
	})

	It("asks for permission at every call; a POSIX queue when it is opened", func() {
		q, p := newSysV(), newPOSIX()
		change(q, func(s *sysv.Status) { s.Mode = 0 }) // the owner's bits too
		Expect(p.Chmod(0)).To(Succeed())
		Expect(inside.WithoutCapabilities(func() error { return q.Send(1, nil, sysv.NoWait) })).To(MatchError(unix.EACCES))
		Expect(inside.WithoutCapabilities(func() error { return only(receive(q, 0, 0)) })).To(MatchError(unix.EACCES))
		Expect(inside.WithoutCapabilities(func() error { return p.TimedSend(nil, 1, &past) })).To(Succeed())
		Expect(inside.WithoutCapabilities(func() error { return only(openPOSIX(p.Name(), 0, 0)) })).To(MatchError(unix.EACCES))
	})

	It("lets its owner and its creator remove it, whatever the mode; a POSIX queue its owner", func() {
		inside.NeedTwoUsers()
		asOther := func(f func() error) error {
			return inside.StartThread(func() error { // of this thread only, without the C library
				const id = inside.OtherUser
				if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); errno != 0 {
					return errno
				}
				return f()
			}).Result()
		}
		q, p := newSysV(), newPOSIX()
		change(q, func(s *sysv.Status) { s.Mode = 0o666 })
		Expect(p.Chmod(0o666)).To(Succeed())
		Expect(asOther(q.Remove)).To(MatchError(unix.EPERM))
		Expect(asOther(func() error { return mq.Unlink(p.Name()) })).To(MatchError(os.ErrPermission))
		change(q, func(s *sysv.Status) { s.UID, s.Mode = inside.OtherUser, 0 })
		Expect(asOther(q.Remove)).To(Succeed())
	})

	It("is known in its IPC namespace only, as a POSIX queue is", func() {
		inside.NeedPrivate()
		key, p := newKey(), newPOSIX()
		makeSysV(key)
		var sysvErr, posixErr error
		Expect(inside.StartThread(func() error {
			err := unix.Unshare(unix.CLONE_NEWIPC)
			sysvErr, posixErr = only(sysv.Get(key, 0, 0)), only(openPOSIX(p.Name(), 0, 0))
			return err
		}).Result()).To(Succeed())
		Expect([]error{sysvErr, posixErr}).To(HaveEach(MatchError(os.ErrNotExist)))
	})

	It("is listed in /proc/sysvipc/msg, with the bytes of its texts, without types; a POSIX queue is a file of mqueuefs", func() {
		q, p := inBoth(message{1, "seven b"})
		Expect(status(q).Bytes).To(Equal(7))
		Expect(os.ReadFile("/proc/sysvipc/msg")).To(MatchRegexp(`(?m)^ +0 +%d +600 +7 +1 `, int(q)))
		Expect(os.ReadFile(inside.QueueFile(p.Name()))).To(HavePrefix("QSIZE:7 "))
	})

	It("tells who sent and who received last, and when; a POSIX queue does not", func() {
		q, p := inBoth(message{1, "x"})
		Expect(status(q)).To(And(HaveField("LastSender", os.Getpid()), HaveField("Sent", Not(BeZero())),
			HaveField("LastReceiver", 0), HaveField("Received", BeZero())))
		take(q, 0, 1)
		Expect(status(q)).To(And(HaveField("LastReceiver", os.Getpid()), HaveField("Received", Not(BeZero()))))
		receiver := sleepingReceiver(q, 0)
		send(q, message{1, "x"})
		Expect(receiver.Result()).To(Succeed())
		Expect(status(q).LastReceiver).To(Equal(receiver.TID), "of a receiver that slept the kernel notes the thread")
		Expect(p.Status()).To(Equal(mq.Status{QSize: 1}))
	})
})

var _ = Describe(compares+"waiting", func() {
	It("does not wait in a call with IPC_NOWAIT, ENOMSG or EAGAIN; in one over a queue opened O_NONBLOCK, EAGAIN", func() {
		q, p := newSysV(10), newPOSIX()
		Expect(only(receive(q, 0, 0))).To(MatchError(unix.ENOMSG))
		receiver := sleepingReceiver(q, 0)
		send(q, message{1, "0123456789"})
		Expect(receiver.Result()).To(Succeed())
		send(q, message{1, "0123456789"})
		Expect(q.Send(1, []byte("x"), sysv.NoWait)).To(MatchError(unix.EAGAIN))

		second := must(openPOSIX(p.Name(), 0, 0))
		defer second.Close()
		must(second.SetAttr(mq.Attr{NonBlock: true}))
		Expect(second.Receive(make([]byte, 64))).Error().To(MatchError(unix.EAGAIN))
		waiting := sleepingMQReceiver(p)
		post(p, message{1, ""})
		Expect(waiting.Result()).To(Succeed())
		post(p, make([]message, 4)...)
		Expect(second.Send(nil, 0)).To(MatchError(unix.EAGAIN))
	})

	It("has no timeout, but ends with EINTR after every signal handler; mq_receive waits on after SA_RESTART, and has one", func() {
		q, p := newSysV(), newPOSIX()
		caught := make(chan os.Signal, 1)
		signal.Notify(caught, unix.SIGWINCH) // Go's handlers have SA_RESTART
		defer signal.Stop(caught)
		interrupted, again, restarted := sleepingReceiver(q, sysv.Interruptible), sleepingReceiver(q, 0), sleepingMQReceiver(p)
		for _, th := range []inside.Thread{interrupted, again, restarted} {
			th.Signal(unix.SIGWINCH)
			Eventually(caught).Should(Receive())
		}
		Expect(interrupted.Result()).To(MatchError(unix.EINTR))
		again.AsleepIn(unix.SYS_MSGRCV) // since lab/sysv calls once more
		send(q, message{1, ""})
		Expect(again.Result()).To(Succeed())
		restarted.AsleepIn(unix.SYS_MQ_TIMEDRECEIVE)
		post(p, message{1, ""})
		Expect(restarted.Result()).To(Succeed())
		soon := must(unix.TimeToTimespec(time.Now().Add(time.Millisecond)))
		Expect(p.TimedReceive(make([]byte, 64), &soon)).Error().To(MatchError(unix.ETIMEDOUT))
	})

	It("has nothing that tells of a message, only waiting; a POSIX queue has poll(2) and mq_notify", func() {
		p := newPOSIX()
		fds := []unix.PollFd{{Fd: int32(descriptor(p)), Events: unix.POLLIN}}
		Expect(unix.Poll(fds, 0)).To(BeZero())
		events := make(chan mq.Event, 1)
		Expect(p.Notify(func(e mq.Event) { events <- e })).To(Succeed())
		post(p, message{1, ""})
		Expect(unix.Poll(fds, 0)).To(Equal(1))
		Eventually(events).Should(Receive(Equal(mq.Arrived)))
	})
})

var _ = Describe(compares+"lengths and limits", func() {
	text := strings.Repeat("x", 60)

	It("cuts a message to the buffer with MSG_NOERROR and leaves it with E2BIG; mq_receive wants room for the longest", func() {
		q, p := newSysV(), newPOSIX()
		send(q, message{1, text})
		Expect(q.Receive(make([]byte, 59), 0, 0)).Error().To(MatchError(unix.E2BIG))
		n, _, err := q.Receive(make([]byte, 10), 0, sysv.NoError)
		Expect(n, err).To(Equal(10))
		Expect(status(q).Messages).To(BeZero(), "the rest is lost")
		post(p, message{1, "x"})
		Expect(p.TimedReceive(make([]byte, 63), &past)).Error().To(MatchError(unix.EMSGSIZE), "though the message has 1 byte")
	})

	It("bounds a message by msgmax for all queues; a POSIX queue has its own mq_msgsize", func() {
		Expect(inside.SetLimit("kernel/msgmax", "50")).To(Succeed())
		q, p := newSysV(), newPOSIX()
		Expect(q.Send(1, make([]byte, 51), sysv.NoWait)).To(And(MatchError(unix.EINVAL), Not(MatchError(os.ErrNotExist))))
		post(p, message{1, text})
		Expect(p.TimedSend(make([]byte, 65), 1, &past)).To(MatchError(unix.EMSGSIZE))
	})

	It("is full by msg_qbytes, until IPC_SET, and never takes more in a message; a POSIX queue by mq_maxmsg, for good", func() {
		q, p := newSysV(len(text)), newPOSIX()
		Expect(q.Send(1, []byte(text+"x"), sysv.NoWait)).To(MatchError(unix.EAGAIN))
		longer := sleepingSender(q, text+"x") // even when the queue is empty
		send(q, message{1, text})
		Expect(q.Send(1, []byte("x"), sysv.NoWait)).To(MatchError(unix.EAGAIN))
		send(q, message{1, ""})
		take(q, 0, 2)
		longer.AsleepIn(unix.SYS_MSGSND)
		change(q, func(s *sysv.Status) { s.MaxBytes++ })
		Expect(longer.Result()).To(Succeed())

		post(p, make([]message, 4)...)
		Expect(p.TimedSend(nil, 1, &past)).To(MatchError(unix.ETIMEDOUT))
		must(p.SetAttr(mq.Attr{MaxMsg: 8, MsgSize: 128, NonBlock: true}))
		Expect(p.Attr()).To(Equal(mq.Attr{MaxMsg: 4, MsgSize: 64, CurMsgs: 4, NonBlock: true}))
	})

	It("grows beyond msgmnb for CAP_SYS_RESOURCE only, as a POSIX queue beyond msg_max", func() {
		q := newSysV()
		s := status(q)
		s.MaxBytes++ // msgmnb, of a new queue
		Expect(inside.WithoutCapabilities(func() error { return q.Set(s) })).To(MatchError(unix.EPERM))
		l := must(mq.SystemLimits())
		makeLarge := func() error { return only(openPOSIX(newName(), os.O_CREATE|os.O_EXCL, l.MsgMax+1)) }
		Expect(inside.WithoutCapabilities(makeLarge)).To(MatchError(ContainSubstring("msg_max")))
	})

	It("counts queues against msgmni, as POSIX queues against queues_max", func() {
		Expect(inside.SetLimit("kernel/msgmni", "1")).To(Succeed())
		Expect(inside.SetLimit("fs/mqueue/queues_max", "1")).To(Succeed())
		inBoth()
		sysvErr, posixErr := makeOneOfEach()
		Expect([]error{sysvErr, posixErr}).To(HaveEach(MatchError(unix.ENOSPC)))
	})

	DescribeTable("without any more of", func(resource int) {
		var old unix.Rlimit
		Expect(unix.Getrlimit(resource, &old)).To(Succeed())
		Expect(unix.Setrlimit(resource, &unix.Rlimit{Max: old.Max})).To(Succeed())
		sysvErr, posixErr := makeOneOfEach()
		Expect(unix.Setrlimit(resource, &old)).To(Succeed())
		Expect(sysvErr).To(Succeed())
		Expect(posixErr).To(MatchError(unix.EMFILE))
	},
		Entry("needs no descriptor; a POSIX queue is one", unix.RLIMIT_NOFILE),
		Entry("costs its user nothing until messages come; a POSIX queue is paid for when it is made, RLIMIT_MSGQUEUE",
			unix.RLIMIT_MSGQUEUE),
	)
})

var _ = Describe(compares+"life and end of a queue", func() {
	It("stays, with its messages, when the last process that used it is killed; a POSIX queue does if it has a name", func() {
		Expect(inside.SetLimit("fs/mqueue/queues_max", "2")).To(Succeed())
		name := newName()
		holder := parts.Command("leave", name)
		defer must(holder.StdinPipe()).Close()
		out := must(holder.StdoutPipe())
		Expect(holder.Start()).To(Succeed())
		var q sysv.Queue
		Expect(fmt.Fscanf(out, "%d <nil>\n", &q)).To(Equal(1))
		_, full := makeOneOfEach()
		Expect(holder.Process.Kill()).To(Succeed())
		Expect(holder.Wait()).NotTo(Succeed())
		Expect(full).To(MatchError(unix.ENOSPC), "the holder's queues count, though one has no name")
		_, free := makeOneOfEach()
		Expect(free).To(Succeed(), "the one without a name is gone")
		p := must(openPOSIX(name, 0, 0))
		defer p.Close()
		Expect(take(q, 0, 1)).To(Equal([]message{{1, "left"}}))
		Expect(fetch(p, 1)).To(Equal([]message{{1, "left"}}))
		Expect(errors.Join(q.Remove(), mq.Unlink(name))).To(Succeed())
	})

	It("goes at once, messages and all, and who waits wakes with EIDRM; mq_unlink wakes nobody", func() {
		q, _ := inBoth(message{1, "lost"})
		empty, full, p := newSysV(), newSysV(0), newPOSIX()
		waiting := []inside.Thread{sleepingReceiver(empty, 0), sleepingSender(full, "x")}
		for _, removed := range []sysv.Queue{q, empty, full} {
			remove(removed)
			gone := And(MatchError(unix.EINVAL), MatchError(os.ErrNotExist))
			Expect(only(receive(removed, 0, 0))).To(gone)
			Expect(removed.Set(sysv.Status{})).To(gone)
			Expect(removed.Remove()).To(gone)
		}
		for _, th := range waiting {
			Expect(th.Result()).To(MatchError(unix.EIDRM))
		}
		receiver := sleepingMQReceiver(p)
		Expect(mq.Unlink(p.Name())).To(Succeed())
		receiver.AsleepIn(unix.SYS_MQ_TIMEDRECEIVE)
		post(p, message{1, "x"})
		Expect(receiver.Result()).To(Succeed())
	})
})

// inBoth makes a queue of each kind, with messages of these types and priorities in it.
func inBoth(messages ...message) (sysv.Queue, *mq.Blocking) {
	GinkgoHelper()
	q, p := newSysV(), newPOSIX()
	send(q, messages...)
	post(p, messages...)
	return q, p
}

// taking is a series of msgrcv with one selector: what comes, and ENOMSG after it if there are other messages left.
type taking struct {
	selector, flags int
	messages        []message
}

// fromBoth sends messages to a queue of each kind, and proves what comes out of them.
func fromBoth(sent []message, takings []taking, fetched []message) {
	q, p := inBoth(sent...)
	left := len(sent)
	for _, t := range takings {
		for _, m := range t.messages {
			Expect(receive(q, t.selector, t.flags)).To(Equal(m))
			left--
		}
		Expect(receive(q, t.selector, t.flags)).Error().To(MatchError(unix.ENOMSG))
	}
	Expect(status(q).Messages).To(Equal(left))
	Expect(fetch(p, len(fetched))).To(Equal(fetched))
}

var (
	history  = []message{{2, "first"}, {1, "second"}, {3, "third"}, {1, "fourth"}}
	sameKind = []message{{7, "a"}, {7, "b"}, {7, "c"}, {7, "d"}}
)

// What msgrcv's type selects, and what priorities can do of that.
var _ = DescribeTable(compares+"types and priorities", fromBoth,
	Entry("takes the oldest message with type 0, where mq_receive takes the highest priority",
		history, []taking{{0, 0, history}}, []message{{3, "third"}, {2, "first"}, {1, "second"}, {1, "fourth"}}),
	Entry("keeps the order of arrival with type 0 over POSIX queues too, if all priorities are the same",
		sameKind, []taking{{0, 0, sameKind}}, sameKind),
	Entry("takes one type with a positive number and leaves the rest, which no priority can",
		history, []taking{{1, 0, []message{{1, "second"}, {1, "fourth"}}}}, []message{{3, "third"}}),
	Entry("takes nothing above the limit of a negative number, where mq_receive has no limit",
		history, []taking{{-2, 0, []message{{1, "second"}, {1, "fourth"}, {2, "first"}}}}, []message{{3, "third"}}),
	Entry("takes anything but one type with MSG_EXCEPT, which no priority can",
		history, []taking{{1, sysv.Except, []message{{2, "first"}, {3, "third"}}}}, []message{{3, "third"}}),
	Entry("keeps the messages of one type in order, as of one priority",
		sameKind, []taking{{7, 0, sameKind}}, sameKind),
	Entry("serves several clients over one queue, by their types; over POSIX each needs its own",
		[]message{{1001, "for 1"}, {1002, "for 2"}}, // with PIDs as types
		[]taking{{1001, 0, []message{{1001, "for 1"}}}, {1002, 0, []message{{1002, "for 2"}}}},
		[]message{{1002, "for 2"}}), // whichever client asks
	Entry("takes empty messages, as a POSIX queue does",
		[]message{{1, ""}}, []taking{{0, 0, []message{{1, ""}}}}, []message{{1, ""}}),
)

var _ = Describe(compares+"types and priorities", func() {
	It("takes the lowest type first with a negative number, as priorities turned round do", func() {
		const highest = 9
		q, p := inBoth()
		for range 200 {
			for i := range 4 {
				m := message{1 + rand.IntN(highest), string(rune('a' + i))}
				send(q, m)
				post(p, message{highest - m.kind, m.text})
			}
			byPriority := fetch(p, 4)
			for i := range byPriority {
				byPriority[i].kind = highest - byPriority[i].kind
			}
			Expect(take(q, -highest, 4)).To(Equal(byPriority))
		}
	})

	It("has types from 1 to LONG_MAX, and priorities from 0 to 32767", func() {
		q, p := inBoth(message{1, ""})
		send(q, message{math.MaxInt, ""})
		Expect(take(q, 0, 2)).To(Equal([]message{{1, ""}, {math.MaxInt, ""}}))
		for _, no := range []int{0, -5} {
			Expect(q.Send(no, nil, 0)).To(And(MatchError(unix.EINVAL), Not(MatchError(os.ErrNotExist))))
		}
		post(p, message{0, ""}, message{32767, ""})
		Expect(fetch(p, 3)).To(Equal([]message{{32767, ""}, {1, ""}, {0, ""}}))
		Expect(p.Send(nil, 32768)).To(MatchError(unix.EINVAL))
	})
})

const failure, data, end = 1, 2, 3 // as types of the baseline

// file is one that ends with an END of this type or priority.
func file(end int) []message { return []message{{data, "one"}, {data, "two"}, {end, ""}} }

// What follows for a protocol whose responses are FAILURE, DATA and END.
var _ = DescribeTable(compares+"the end of a file", fromBoth,
	Entry("delivers END last with type 0, whatever its number", file(1), []taking{{0, 0, file(1)}}, nil),
	Entry("delivers END last with a negative type if END is the highest type", file(end), []taking{{-end, 0, file(end)}}, nil),
	Entry("delivers END before DATA over a POSIX queue if its priority is higher", file(end), nil,
		[]message{{end, ""}, {data, "one"}, {data, "two"}}),
	Entry("delivers END last over a POSIX queue if its priority is the lowest", file(data-1), nil, file(data-1)),
	Entry("delivers FAILURE before the DATA that waits, as the lowest type and as a higher priority",
		[]message{{data, "one"}, {failure, ""}, {data + 1, ""}}, []taking{{-data, 0, []message{{failure, ""}, {data, "one"}}}},
		[]message{{data + 1, ""}, {data, "one"}, {failure, ""}}),
)
