//go:build linux

// Package mq gives POSIX message queues, [mq_overview(7)], to Go programs on Linux, without cgo.
//
// # Two ways to wait
//
// They are two types because O_NONBLOCK belongs to the open file description: Go's poller needs it set, and a call that
// sleeps in the kernel needs it clear.
//
// A [Blocking], made by [OpenBlocking], waits in the kernel, as C programs do. It is for the wait that is a thread's work:
// a client for its answer, a server's few receivers for requests. A receiver asleep in the kernel is a receiver to POSIX:
// the message is handed to it and no notification is sent, and sleepers take turns by the priority of their threads and
// the length of their wait. The wait costs a thread, and ends with a message, a deadline or a signal.
//
// A [Queue], made by [Open], waits in Go's poller. It is for waits that are many, or that have to end when the program
// says so: a server for room in the queue of every client. The wait costs a parked goroutine, and ends with its context
// or Close. Beside sleepers in the kernel it gets what they leave: with one waiter of each kind, 9 of 2000 messages. It
// is no receiver to POSIX, so a notification is sent all the same.
//
// daemonlab's server has its request queue as a Blocking and the clients' queues as Queues, its client both as Blocking.
//
// A message to another process and one back, each waited for (go test -bench PingPong; Linux 6.18, medians of seven rounds
// in which each took its turn):
//
//	                       on one processor    on two, and the range
//	C, mq_receive               5.6 us           18 us, 6 to 44
//	Blocking                    9.0 us            9 us, 8 to 15
//	Queue                      14.2 us           22 us, 12 to 29
//
// On two processors the result depends on chance, and on which processor the kernel picks for the thread that it wakes:
// waking an idle one costs more than all else. On one the difference is what each does: C and a Blocking make 2 system
// calls a message, a Queue 5.5. Its mq_timedreceive says EAGAIN twice, to the caller and once more when the poller is
// armed, and the scheduler calls epoll_pwait twice, to look and to sleep. The second of each cannot be spared: what
// comes before the poller is armed would be missed, and the scheduler is Go's.
//
// # Deadlines
//
// A Queue's are those of the context: one that has ended ends every call. A Blocking's are those of mq_timedsend(3):
// what can be done at once is done, however late it is. All errors of deadlines say Timeout and answer to
// os.ErrDeadlineExceeded. Sending and receiving allocate nothing, but for a Queue's wait: what context.AfterFunc and
// the poller need.
//
// # The ten calls
//
//	mq_open          Open, OpenBlocking; Inherit and InheritBlocking for a descriptor that is open already
//	mq_close         Close
//	mq_unlink        Unlink
//	mq_getattr       Attr
//	mq_setattr       Blocking.SetAttr; a Queue is always O_NONBLOCK
//	mq_send          Send, TrySend
//	mq_timedsend     Blocking.SendUntil, TimedSend; Queue.Send with a context
//	mq_receive       Receive, TryReceive
//	mq_timedreceive  Blocking.ReceiveUntil, TimedReceive; Queue.Receive with a context
//	mq_notify        Notify (SIGEV_THREAD), NotifySignal, NotifyNone, Unnotify (NULL)
//
// # Notification
//
// The kernel announces a message only when it comes to an empty queue, to one registered process, once. A program
// that does not want to lose any registers again before it empties the queue, as the example of [Queue.Notify] does.
// Whoever may send to a queue may register for it: where strangers may send, expect EBUSY, and see who is registered
// with [Queue.Status].
//
// # Names, limits, errors
//
// Names are those of mq_open(3): a slash, then 1 to 255 bytes without a slash; see [CheckName]. [SystemLimits]
// reports what a process may have, [Cost] what a queue costs. In every error errors.As finds an
// *[Error], which names the call and the queue, keeps the errno for errors.Is, and explains a limit with the figures in
// force.
//
// The package is for Linux, and says so by build tags.
//
// [mq_overview(7)]: https://man7.org/linux/man-pages/man7/mq_overview.7.html
package mq
