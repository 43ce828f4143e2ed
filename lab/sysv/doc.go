// Package sysv gives System V message queues, [sysvipc(7)], to Go programs on Linux, without cgo.
//
// # The four calls
//
//	msgget                     Get; ByID for a queue whose number is known
//	msgsnd                     Queue.Send
//	msgrcv                     Queue.Receive
//	msgctl  IPC_STAT           Queue.Status
//	        IPC_SET            Queue.Set
//	        IPC_RMID           Queue.Remove
//	        IPC_INFO           SystemLimits
//	        MSG_STAT_ANY       Queue.Look, Queues
//
// # A queue is a number
//
// A queue is no descriptor. Its number is good in every process of the IPC namespace, is not opened, not closed and not
// inherited, and the kernel asks for permission at every call. Nobody counts who uses a queue: it stays until somebody
// removes it or the system goes down, whatever becomes of the processes. So a [Queue] is a small value, to be copied at
// will; it has no Close, and whoever makes a queue has to see to it that [Queue.Remove] is called on every way out.
//
// # Waiting
//
// There is no timeout, no poll(2) and no notification. Send and Receive wait in the kernel, each on a thread of its
// own, until there is room or a message, or until the queue is removed. Removal is how to end a wait from outside.
//
// msgsnd(2) and msgrcv(2) end with EINTR when a signal handler has run, and are never restarted, whatever SA_RESTART
// says (signal(7)). In a Go program the runtime's own signals do that too, at no time that the program could know, so
// Send and Receive wait on. With [Interruptible] they return EINTR instead.
//
// # Limits, errors
//
// What the system allows is told by [SystemLimits]. Every error is an *[Error] that names the call and the queue, keeps
// the errno for errors.Is, and explains a limit with the figures in force. The kernel says EINVAL for a queue that is
// no more, EIDRM to those who were waiting for it; both match os.ErrNotExist.
//
// For new programs package mq is nearly always the better choice: its queues have names and descriptors, go away with
// their users, wait with a deadline and notify.
//
// [sysvipc(7)]: https://man7.org/linux/man-pages/man7/sysvipc.7.html
package sysv
