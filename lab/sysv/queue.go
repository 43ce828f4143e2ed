package sysv

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Queue names one queue of the IPC namespace. It is a value: copying it copies the name, not the queue, and it is good
// for as long as the queue exists. Two name the same queue when their IDs are the same.
type Queue struct {
	id  int
	key Key // for messages; Private when it is not known
}

// ByID names the queue that has the number. Nothing is opened, hence nothing checked: the first call tells whether
// there is such a queue.
func ByID(id int) Queue { return Queue{id: id} }

// ID is the queue's number in its IPC namespace. It is made of a place in the kernel's table and of a count, so the
// number of a queue that was removed is not soon another's.
func (q Queue) ID() int { return q.id }

// String is the number, and the key by which the queue was found.
func (q Queue) String() string {
	if q.key == Private {
		return fmt.Sprint(q.id)
	}
	return fmt.Sprintf("%d (key %v)", q.id, q.key)
}

// Flags of Get.
const (
	Create    = unix.IPC_CREAT // make the queue if there is none
	Exclusive = unix.IPC_EXCL  // with Create: fail with EEXIST if there is one
)

// Get finds the queue that has the key, or makes it, msgget(2). A new one belongs to the caller and has the mode perm,
// of which the bits for reading (0444) and writing (0222) count and from which no umask is taken. For a queue that
// exists perm says what access is wanted, and EACCES that it is not granted; with perm 0 nothing is asked. The errnos
// are ENOENT, EEXIST, EACCES, and ENOSPC where the system has as many queues as it allows.
func Get(key Key, flags int, perm uint32) (Queue, error) {
	q := Queue{key: key}
	id, errno := sysGet(key, flags&^0o777|int(perm&0o777))
	if errno != 0 {
		return Queue{}, q.explainGet(errno)
	}
	q.id = id
	return q, nil
}

// Flag changes how Send and Receive work.
type Flag int

const (
	// NoWait is IPC_NOWAIT: fail instead of waiting, with EAGAIN for want of room and ENOMSG for want of a message.
	NoWait Flag = unix.IPC_NOWAIT
	// NoError is MSG_NOERROR of Receive: cut a message that is longer than the buffer. The rest of it is lost.
	NoError Flag = msgNoError
	// Except is MSG_EXCEPT of Receive: take the oldest message whose type is not the one given.
	Except Flag = msgExcept
	// Interruptible has a wait end with EINTR when a signal handler has run, as in C. The handler need not be the
	// program's: Go's runtime interrupts its own threads.
	Interruptible Flag = 1 << 30
)

func (f Flag) forKernel() int { return int(f &^ Interruptible) }

// Send puts a message into the queue, msgsnd(2). The type must be positive; the text may be empty. It waits while the
// queue is full: when the bytes of all texts would exceed the queue's MaxBytes, or their number would. A text longer
// than MaxBytes itself waits for ever. The errnos are EAGAIN (full, with NoWait), EACCES (no permission to write),
// EINVAL (a type below 1, a text longer than msgmax, or no such queue), EIDRM (the queue was removed during the wait).
func (q Queue) Send(mtype int, text []byte, flags Flag) error {
	m := borrow(len(text))
	defer giveBack(m)
	for {
		(*m)[0] = mtype
		copy((*m).text(len(text)), text)
		errno := sysSend(q.id, *m, len(text), flags.forKernel())
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR || flags&Interruptible != 0 {
			return q.explainSend(mtype, len(text), errno)
		}
	}
}

// Receive takes a message out of the queue, msgrcv(2), and returns its length and type. The selector says which:
//
//	0         the oldest
//	positive  the oldest of this type, or with Except of any other type
//	negative  the oldest of the lowest type that is not above the selector's absolute value
//
// It waits while there is none. The errnos are ENOMSG (none, with NoWait), E2BIG (the message is longer than buf, and
// stays in the queue; see NoError), EACCES (no permission to read), EINVAL (no such queue), EIDRM (the queue was
// removed during the wait).
func (q Queue) Receive(buf []byte, selector int, flags Flag) (n, mtype int, err error) {
	m := borrow(len(buf))
	defer giveBack(m)
	for {
		n, errno := sysReceive(q.id, *m, len(buf), selector, flags.forKernel())
		if errno == 0 {
			copy(buf, (*m).text(n))
			return n, (*m)[0], nil
		}
		if errno != unix.EINTR || flags&Interruptible != 0 {
			return 0, 0, q.explainReceive(len(buf), errno)
		}
	}
}

// Text and type have to lie side by side for the kernel. A copy of the text costs little beside the system call, and
// callers can keep their bytes where they are.
var messages = sync.Pool{New: func() any { return new(message) }}

func borrow(size int) *message {
	m := messages.Get().(*message)
	if (*m).room() < size {
		*m = newMessage(size)
	}
	return m
}

func giveBack(m *message) { messages.Put(m) }
