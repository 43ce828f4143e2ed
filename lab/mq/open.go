//go:build linux

package mq

import (
	"os"

	"golang.org/x/sys/unix"
)

// Open is mq_open(3) for a [Queue], which waits in Go's poller.
//
// Flags are O_RDONLY, O_WRONLY or O_RDWR of package os, optionally with O_CREATE and O_EXCL. The descriptor is always
// close-on-exec and O_NONBLOCK. Perm is the mode of a new queue, less the umask (see [Queue.Chmod]). Attr gives a new
// queue's MaxMsg and MsgSize; nil means the system's defaults (10 messages of 8192 bytes unless changed). Both are
// ignored if the queue exists.
//
// Errors are *[Error] with the errno of mq_open(3): ENOENT, EEXIST, EACCES, EINVAL (name or attributes),
// ENAMETOOLONG, EMFILE (descriptors, or the bytes of RLIMIT_MSGQUEUE), ENOSPC (queues_max). The text has the figures
// in force.
func Open(name string, flags int, perm os.FileMode, attr *Attr) (*Queue, error) {
	fd, err := open(name, flags|unix.O_NONBLOCK, perm, attr)
	if err != nil {
		return nil, err
	}
	return newQueue(name, fd), nil
}

// OpenBlocking is mq_open(3) for a [Blocking], which blocks in the kernel. It works as [Open] but sets O_NONBLOCK only
// if flags have it (syscall.O_NONBLOCK).
func OpenBlocking(name string, flags int, perm os.FileMode, attr *Attr) (*Blocking, error) {
	fd, err := open(name, flags, perm, attr)
	if err != nil {
		return nil, err
	}
	return newBlocking(name, fd), nil
}

// Inherit makes a [Queue] from a descriptor that this process got from another, by exec or over a socket. Name is for
// error messages. On success the Queue owns the descriptor and has made it close-on-exec and O_NONBLOCK, which affects
// everybody who shares the open file description. On failure the descriptor is unchanged: EBADF means that it is not
// open, or not a queue.
func Inherit(fd int, name string) (*Queue, error) {
	if err := inherit(fd, name); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, newError("inherit", name, err)
	}
	return newQueue(name, fd), nil
}

// InheritBlocking works as [Inherit] but leaves O_NONBLOCK as it is.
func InheritBlocking(fd int, name string) (*Blocking, error) {
	if err := inherit(fd, name); err != nil {
		return nil, err
	}
	return newBlocking(name, fd), nil
}

// Unlink is mq_unlink(3): the name goes at once, the queue with its last descriptor. Without permission it fails with
// EACCES, as POSIX says, not with the kernel's EPERM.
func Unlink(name string) error {
	short, errno := kernelName(name)
	if errno == 0 {
		errno = sysUnlink(short)
	}
	if errno == unix.EPERM { // the mount's root directory is sticky; glibc maps it too
		errno = unix.EACCES
	}
	if errno != 0 {
		return newError("unlink", name, errno)
	}
	return nil
}

func open(name string, flags int, perm os.FileMode, attr *Attr) (int, error) {
	short, errno := kernelName(name)
	if errno != 0 {
		return -1, newError("open", name, errno)
	}
	var a *mqAttr
	if attr != nil {
		a = &mqAttr{maxMsg: attr.MaxMsg, msgSize: attr.MsgSize}
	}
	fd, errno := sysOpen(short, flags|unix.O_CLOEXEC, uint32(perm.Perm()), a)
	if errno != 0 {
		return -1, explainOpen(name, flags, attr, errno)
	}
	return fd, nil
}

func inherit(fd int, name string) error {
	var a mqAttr
	if errno := sysGetSetAttr(fd, nil, &a); errno != 0 {
		return newError("inherit", name, errno)
	}
	unix.CloseOnExec(fd)
	return nil
}
