//go:build linux

// Package mq provides POSIX message queues, [mq_overview(7)], to Go programs on Linux, without cgo.
//
// # Two ways to wait
//
// There are two types because O_NONBLOCK belongs to the open file description: Go's poller needs it set, and a call
// that blocks in the kernel needs it clear.
//
// A [Blocking], made by [OpenBlocking], blocks in the kernel, as C programs do. Use it where a wait is a thread's
// whole job: a client waiting for its answer, a server's few receivers of requests. To POSIX, a receiver blocked in
// the kernel is a receiver: it gets the message, no notification is sent, and waiters are served by thread priority
// and then by length of wait. The wait occupies a thread, and ends with a message, a deadline or a signal.
//
// A [Queue], made by [Open], waits in Go's poller. Use it for many waits, or for waits that the program must be able to
// end: a server waiting for room in each client's queue. The wait costs a parked goroutine, and ends with its context
// or Close. Next to receivers blocked in the kernel it only gets what they leave: with one of each kind, 9 of 2000
// messages. To POSIX it is not a receiver, so notifications are still sent.
//
// daemonlab's server opens its request queue as a Blocking and the clients' queues as Queues, its client both as
// Blocking.
//
// One message to another process and one back, each with a wait (go test -bench PingPong; Linux 6.18, medians of seven
// interleaved rounds):
//
//	                       on one processor    on two, and the range
//	C, mq_receive               5.6 us           18 us, 6 to 44
//	Blocking                    9.0 us            9 us, 8 to 15
//	Queue                      14.2 us           22 us, 12 to 29
//
// On two processors the result varies with the processor that the kernel picks for the thread it wakes: waking an idle
// one costs more than everything else. On one processor the difference is the work done: C and a Blocking make 2 system
// calls per message, a Queue 5.5. Its mq_timedreceive fails with EAGAIN twice, for the caller and again after the
// poller is armed, and the scheduler calls epoll_pwait twice, to poll and to sleep. Neither second call can be saved: a
// message that arrives before the poller is armed would be missed, and the scheduler is Go's.
//
// # Deadlines
//
// A Queue's deadline is its context's: once the context is done every call fails. A Blocking's is that of
// mq_timedsend(3): a call that need not wait succeeds, however late. Every deadline error reports Timeout and matches
// os.ErrDeadlineExceeded. Sending and receiving allocate nothing, except what context.AfterFunc and the poller allocate
// for a Queue's wait.
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
// The kernel announces a message only when it arrives in an empty queue, to one registered process, once. To lose
// none, a program registers again before it drains the queue, as the example of [Queue.Notify] does. Anybody who may
// send to a queue may register for it: where strangers may send, expect EBUSY, and look up who is registered with
// [Queue.Status].
//
// # Names, limits, errors
//
// Names are those of mq_open(3): a slash, then 1 to 255 bytes without a slash; see [CheckName]. [SystemLimits] reports
// the limits of this process, [Cost] what a queue costs. In every error errors.As finds an *[Error], which names the
// call and the queue, keeps the errno for errors.Is, and explains a limit with the figures in force.
//
// Build tags restrict the package to Linux.
//
// [mq_overview(7)]: https://man7.org/linux/man-pages/man7/mq_overview.7.html
package mq
