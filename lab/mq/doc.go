// Package mq gives POSIX message queues, [mq_overview(7)], to Go programs on Linux, without cgo.
//
// # Two ways to wait
//
// A [Queue], made by [Open], waits in Go's poller. A waiting call costs a parked goroutine and ends with its context
// or with Close. It is the one to use.
//
// A [Blocking], made by [OpenBlocking], waits in the kernel, as C programs do. A waiting call costs a thread, and only
// a message, a deadline or a signal ends it. It keeps POSIX's rules to the letter, which the poller cannot: a receiver
// that sleeps in the kernel gets the message and no notification is sent, and sleepers take turns by the
// priority of their threads and the length of their wait. A Queue beside them gets what they leave: of 2000 messages
// for one waiter of each kind, 9. [Blocking.Poll] goes over from one to the other.
//
// # The ten calls
//
//	mq_open          Open, OpenBlocking; Inherit and InheritBlocking for a descriptor that is open already
//	mq_close         Close
//	mq_unlink        Unlink
//	mq_getattr       Attr
//	mq_setattr       Blocking.SetAttr; a Queue is always O_NONBLOCK
//	mq_send          Send, TrySend
//	mq_timedsend     Queue.Send with a context that has a deadline, Blocking.TimedSend
//	mq_receive       Receive, TryReceive
//	mq_timedreceive  Queue.Receive with a context that has a deadline, Blocking.TimedReceive
//	mq_notify        Notify (SIGEV_THREAD), NotifySignal, NotifyNone, Unnotify (NULL)
//
// # Notification
//
// The kernel announces a message only when it comes to an empty queue, to one registered process, once. A program
// that does not want to lose any registers again before it empties the queue; see [Queue.Notify] and its example.
//
// # Names, limits, errors
//
// Names are those of mq_open(3): a slash, then 1 to 255 bytes without a slash; see [CheckName]. What a process may
// have is told by [SystemLimits], what a queue costs by [Cost]. Every error is an *[Error] that names the call and the
// queue, keeps the errno for errors.Is, and explains a limit with the figures in force.
//
// [mq_overview(7)]: https://man7.org/linux/man-pages/man7/mq_overview.7.html
package mq
