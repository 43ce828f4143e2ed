// Package sysv provides System V message queues, [sysvipc(7)], to Go programs on Linux, without cgo.
//
//	msgget                     Get
//	msgsnd                     Queue.Send
//	msgrcv                     Queue.Receive
//	msgctl  MSG_STAT_ANY       Queue.Status, Queues
//	        IPC_SET            Queue.Set
//	        IPC_RMID           Queue.Remove
//
// A queue is a number, not a descriptor: valid in every process of the IPC namespace, never opened, closed or
// inherited, and the kernel checks permissions at every call. It persists until somebody removes it, whatever happens
// to the processes. There is no timeout, no poll(2) and no notification: Send and Receive block in the kernel, each on
// a thread of its own, until there is room or a message, or until the queue is removed.
//
// For new programs package mq is nearly always the better choice.
//
// [sysvipc(7)]: https://man7.org/linux/man-pages/man7/sysvipc.7.html
package sysv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Key is the number by which unrelated programs find a queue, where a POSIX queue has a name.
type Key int32

// Private, IPC_PRIVATE, is not a key: Get makes a new queue that can be found only by its ID.
const Private Key = unix.IPC_PRIVATE

// String returns the key as ipcs(1) shows it.
func (k Key) String() string { return fmt.Sprintf("0x%08x", uint32(k)) }

// Set parses a key for flag.Value: 123 or 0x7b, but not IPC_PRIVATE, which finds no queue.
func (k *Key) Set(s string) error {
	n, err := strconv.ParseInt(s, 0, 64)
	if err != nil || n < math.MinInt32 || n > math.MaxUint32 || n == int64(Private) {
		return errors.New("not a number of 32 bits, or 0")
	}
	*k = Key(n)
	return nil
}

// FileKey is ftok(3): 8 bits of the project, 8 of the file's device and 16 of its inode. So two files can have the same
// key, and replacing a file changes its key.
func FileKey(path string, project byte) (Key, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "ftok", Path: path, Err: err}
	}
	return Key(uint32(project)<<24 | uint32(st.Dev&0xff)<<16 | uint32(st.Ino&0xffff)), nil
}

// Queue is a queue's ID. It contains a sequence number, so a removed queue's ID is not reused soon.
type Queue int

// Flags of the calls, with their C names.
const (
	Create    = unix.IPC_CREAT  // Get: make the queue if there is none
	Exclusive = unix.IPC_EXCL   // Get with Create: EEXIST if there is one
	NoWait    = unix.IPC_NOWAIT // Send, Receive: EAGAIN without room, ENOMSG without a message
	NoError   = 0o10000         // Receive, MSG_NOERROR: truncate a message longer than the buffer
	Except    = 0o20000         // Receive, MSG_EXCEPT: the oldest message of any type but the one given

	// Interruptible lets a signal handler end a wait with EINTR, as in C. Without it Send and Receive retry: Go's
	// runtime signals its own threads, and the kernel never restarts these two calls (signal(7)).
	Interruptible = 1 << 30
)

// Get finds the queue with the key, or makes it, msgget(2). A new queue gets mode perm, regardless of the umask. For an
// existing queue perm is the access wanted; 0 asks for none.
func Get(key Key, flags int, perm uint32) (Queue, error) {
	q, errno := sysGet(key, flags|int(perm&0o777))
	if errno != 0 {
		return -1, fmt.Errorf("msgget with key %v: %w", key, errno)
	}
	return q, nil
}

// Send puts a message into the queue, msgsnd(2). The type must be positive; the text may be empty. It blocks while the
// texts would exceed the queue's MaxBytes. A text longer than MaxBytes itself blocks for ever.
func (q Queue) Send(mtype int, text []byte, flags int) error {
	m := borrow(len(text))
	defer buffers.Put(m)
	binary.NativeEndian.PutUint64(*m, uint64(mtype))
	copy((*m)[long:], text)
	return q.wait("msgsnd", flags, func() unix.Errno { return sysSend(q, *m, len(text), flags&^Interruptible) })
}

// Receive takes a message from the queue, msgrcv(2), and returns its length and type. The selector says which:
//
//	0         the oldest
//	positive  the oldest of this type, or with Except of any other type
//	negative  the oldest of the lowest type that is not above the selector's absolute value
//
// A message longer than buf stays in the queue, E2BIG; see NoError.
func (q Queue) Receive(buf []byte, selector, flags int) (n, mtype int, err error) {
	m := borrow(len(buf))
	defer buffers.Put(m)
	err = q.wait("msgrcv", flags, func() (errno unix.Errno) {
		n, errno = sysReceive(q, *m, len(buf), selector, flags&^Interruptible)
		return errno
	})
	if err != nil {
		return 0, 0, err
	}
	copy(buf, (*m)[long:long+n])
	return n, int(binary.NativeEndian.Uint64(*m)), nil
}

// buffers are recycled: the kernel wants type and text adjacent, and allocating makes a transfer take 2.5 times as
// long.
var buffers = sync.Pool{New: func() any { return &[]byte{} }}

// borrow returns room for a type and a text of size bytes. Go aligns an allocation of two or more longs like a long.
func borrow(size int) *[]byte {
	m := buffers.Get().(*[]byte)
	if len(*m) < long+size {
		*m = make([]byte, long+max(size, long))
	}
	return m
}

// wait makes a call that may block.
func (q Queue) wait(op string, flags int, call func() unix.Errno) error {
	for {
		if errno := call(); errno != unix.EINTR || flags&Interruptible != 0 {
			return q.failed(op, errno)
		}
	}
}

// Status is struct msqid_ds of msgctl(2).
type Status struct {
	ID       Queue
	Key      Key
	Mode     uint32 // permission bits
	UID, GID uint32 // the owner; Set changes it

	Messages int // in the queue
	Bytes    int // of their texts
	MaxBytes int // msg_qbytes

	LastSender     int   // PID, 0 before the first
	LastReceiver   int   // PID; if the receiver slept, its thread, gettid(2): pipelined_send in ipc/msg.c
	Sent, Received int64 // seconds since 1970, 0 before the first
}

// Status returns the queue's state. It is IPC_STAT without the need for read permission, as everybody can read it in
// /proc/sysvipc/msg. Linux 4.17.
func (q Queue) Status() (Status, error) {
	s, errno := statAt(int(q))
	if errno == 0 && s.ID != q { // another queue is in this slot of the kernel's table
		errno = unix.EINVAL
	}
	return s, q.failed("msgctl MSG_STAT_ANY", errno)
}

// statAt takes an index into the kernel's table: the low bits of a queue's ID.
func statAt(index int) (Status, unix.Errno) {
	var ds msqidDS
	id, errno := sysControl(index, msgStatAny, &ds)
	return Status{ID: Queue(id), Key: Key(ds.perm.Key), Mode: ds.perm.Mode & 0o777, UID: ds.perm.Uid, GID: ds.perm.Gid,
		Messages: int(ds.qnum), Bytes: int(ds.cbytes), MaxBytes: int(ds.qbytes),
		LastSender: int(ds.lspid), LastReceiver: int(ds.lrpid), Sent: ds.stime, Received: ds.rtime}, errno
}

// Queues lists all queues of the IPC namespace, as ipcs(1) does.
func Queues() (all []Status, err error) {
	highest, errno := sysControl(0, msgInfo, new(msqidDS)) // struct msginfo is shorter
	if errno != 0 {
		return nil, os.NewSyscallError("msgctl MSG_INFO", errno)
	}
	for index := range highest + 1 {
		if s, errno := statAt(index); errno == 0 { // else the slot is free
			all = append(all, s)
		}
	}
	return all, nil
}

// Set changes owner, mode and size of the queue to those of s, IPC_SET. Only its owner and its creator may; more than
// msgmnb bytes needs CAP_SYS_RESOURCE. Messages that no longer fit stay.
func (q Queue) Set(s Status) error {
	ds := msqidDS{qbytes: uint64(s.MaxBytes)}
	ds.perm.Uid, ds.perm.Gid, ds.perm.Mode = s.UID, s.GID, s.Mode
	_, errno := sysControl(int(q), unix.IPC_SET, &ds)
	return q.failed("msgctl IPC_SET", errno)
}

// Remove removes the queue with all its messages, IPC_RMID, at once: waiters fail with EIDRM. Only its owner and its
// creator may.
func (q Queue) Remove() error {
	_, errno := sysControl(int(q), unix.IPC_RMID, nil)
	return q.failed("msgctl IPC_RMID", errno)
}

func (q Queue) failed(op string, errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	err := error(errno)
	s, e := statAt(int(q))
	gone := e == unix.EINVAL || e == 0 && s.ID != q
	if gone && (errno == unix.EINVAL || errno == unix.EIDRM) { // EINVAL has other causes too
		err = noQueue{errno}
	}
	return fmt.Errorf("queue %d: %s: %w", q, op, err)
}

// noQueue is the kernel's error for a queue that no longer exists. errors.Is matches os.ErrNotExist and the errno.
type noQueue struct{ unix.Errno }

func (noQueue) Error() string        { return "no such queue" }
func (e noQueue) Unwrap() error      { return e.Errno }
func (noQueue) Is(target error) bool { return target == os.ErrNotExist }
