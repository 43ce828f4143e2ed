package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
)

// A client that SIGKILL ends before its first response leaves its queue. To tell such an orphan from the queue of a
// client that lives, its PID is no help: it may be another process's by now, or one of another PID namespace. A lock
// is, which the kernel lets go of when the client ends (flock(2)): whoever can lock a queue has found an orphan.
//
// A client that has just made its queue and not locked it yet looks like a dead one. So it looks for the name when it
// has the lock. Until then nobody but its own user can open the queue, so that nobody else can hold it up.

// errUnlinked says that a queue has lost its name.
var errUnlinked = errors.New("the queue is unlinked")

// lockQueue locks the queue if it has a name still; how is LOCK_EX, with or without LOCK_NB. Without, it waits while
// another client takes the queue for an orphan's and unlinks it.
func lockQueue(q *mq.Blocking, how int) (err error) {
	controlErr := q.Control(func(fd uintptr) {
		for err = unix.EINTR; err == unix.EINTR; {
			err = unix.Flock(int(fd), how)
		}
	})
	if err = errors.Join(controlErr, err); err != nil {
		return fmt.Errorf("queue %s: lock: %w", q.Name(), err)
	}
	st, err := stat(q)
	if err == nil && st.Nlink == 0 {
		err = errUnlinked
	}
	return err
}

func stat(q *mq.Blocking) (st unix.Stat_t, err error) {
	controlErr := q.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) })
	return st, errors.Join(controlErr, err)
}

// removeOrphans unlinks the queues that killed clients of this user have left, where queues can be listed, and tells
// how many there were.
func removeOrphans(server *mq.Blocking) (n int) {
	dir, err := openQueueDirectory(server)
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if strings.HasPrefix(name, replyPrefix) && strings.HasSuffix(name, replySuffix) && removeOrphan("/"+name) {
			n++
		}
	}
	return n
}

// removeOrphan unlinks the queue if it is this user's and its client is dead. As long as the lock is held the name is
// this queue's.
func removeOrphan(name string) bool {
	q, err := mq.OpenBlocking(name, os.O_RDONLY, 0, nil)
	if err != nil {
		return false
	}
	defer q.Close()
	uid, _, err := q.Owner()
	return err == nil && uid == os.Geteuid() && lockQueue(q, unix.LOCK_EX|unix.LOCK_NB) == nil && mq.Unlink(name) == nil
}

// openQueueDirectory opens the directory of all queues in this IPC namespace. Where nobody has mounted it, root can
// open a mount that has no place and goes with the descriptor; others cannot list queues then.
func openQueueDirectory(server *mq.Blocking) (*os.File, error) {
	ours, err := stat(server)
	if err != nil {
		return nil, err
	}
	const place = "/dev/mqueue" // mq_overview(7)
	var mounted unix.Stat_t
	if err := unix.Stat(place, &mounted); err == nil && mounted.Dev == ours.Dev {
		return os.Open(place)
	}
	return mountNowhere()
}

// mountNowhere does as open_tree(2) describes it for a mount that is attached nowhere.
func mountNowhere() (*os.File, error) {
	context, err := unix.Fsopen("mqueue", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, os.NewSyscallError("fsconfig", err)
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fsmount", err)
	}
	defer unix.Close(mount) // which cannot be read itself
	fd, err := unix.Openat(mount, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("openat", err)
	}
	return os.NewFile(uintptr(fd), "mqueue"), nil
}
