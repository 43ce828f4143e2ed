package harness

import (
	"errors"
	"fmt"
	"os"
	"os/user"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// CannotLook says why this process may not see a daemon's open files, by the rules of ptrace(2); empty if it may.
func CannotLook(pid int) (why rubric.Text) {
	status, err := proc.Process(os.Getpid()).Status()
	if err != nil || status.CapEff.Has(unix.CAP_SYS_PTRACE) {
		return why
	}
	if os.Geteuid() != 0 {
		var st unix.Stat_t // the files of a process that is not dumpable belong to root, see proc(5)
		if unix.Stat(proc.Process(pid).Path("fd"), &st) != nil || int(st.Uid) == os.Geteuid() {
			return why
		}
		return finding.Say("only root may inspect the daemon, which is not dumpable, see PR_SET_DUMPABLE in prctl(2): judge it as " +
			"root, or use a program that neither clears that flag nor has capabilities")
	}
	return finding.Say("root lacks CAP_SYS_PTRACE here, as in most containers, and the daemon has become another user; judge as an " +
		"ordinary user, or run the container with --cap-add SYS_PTRACE")
}

// OwnNamespaces reports whether this process has queues and mounts to itself, as where the judge can make an IPC and a
// mount namespace for each row.
func OwnNamespaces() bool {
	ours, err := os.Readlink("/proc/self/ns/ipc")
	outer, outerErr := os.Readlink(fmt.Sprintf("/proc/%d/ns/ipc", os.Getppid()))
	return err == nil && outerErr == nil && ours != outer
}

// MountOwnQueues makes /dev/mqueue show this process's own IPC namespace, if it has one; the existing mount belongs to
// the outer one.
func MountOwnQueues() error {
	if !OwnNamespaces() || !HasMqueuefs() {
		return nil
	}
	return os.NewSyscallError("mount "+QueueDir, unix.Mount("mqueue", QueueDir, "mqueue", 0, ""))
}

// QueueDir is the mount point of mqueuefs in mq_overview(7).
const QueueDir = "/dev/mqueue"

// HasMqueuefs reports whether mqueuefs is mounted there.
func HasMqueuefs() bool {
	const mqueueMagic = 0x19800202 // MQUEUE_MAGIC in the kernel's ipc/mqueue.c
	var fs unix.Statfs_t
	return unix.Statfs(QueueDir, &fs) == nil && fs.Type == mqueueMagic
}

// SetLimit sets a limit of mq_overview(7), such as msg_max, and returns a function that sets it back. It needs an IPC
// namespace of its own, see [OwnNamespaces].
func SetLimit(name string, value int) (restore func() error, err error) {
	file := "/proc/sys/fs/mqueue/" + name
	before, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return func() error { return os.WriteFile(file, before, 0) }, os.WriteFile(file, fmt.Append(nil, value), 0)
}

// Account looks up an account that a server started by root switches to. It does not use lab/daemon: students get the
// judging programs, which must contain nothing of what they are to write.
func Account(name string) (uid, gid int, err error) {
	account, err := user.Lookup(name)
	if err == nil {
		_, err = fmt.Sscan(account.Uid+" "+account.Gid, &uid, &gid)
	}
	return uid, gid, err
}

// QueueMode returns a queue's permission bits.
func QueueMode(name string) (uint32, error) {
	q, err := mq.Open(name, os.O_RDONLY, 0, nil)
	if err != nil {
		return 0, err
	}
	defer q.Close()
	var st unix.Stat_t
	err = onDescriptor(q, func(fd int) error { return unix.Fstat(fd, &st) })
	return st.Mode & 0o7777, err
}

// MakeQueueOf makes a request queue owned by another user and writable by everybody.
func MakeQueueOf(name string, uid int) error {
	attr := &mq.Attr{MaxMsg: 1, MsgSize: wire.RequestSize}
	q, err := mq.Open(name, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600, attr)
	if err != nil {
		return err
	}
	defer q.Close()
	return errors.Join(q.Chmod(0o666), onDescriptor(q, func(fd int) error { return unix.Fchown(fd, uid, -1) }))
}

func onDescriptor(q *mq.Queue, f func(fd int) error) error {
	var callErr error
	err := q.Control(func(fd uintptr) { callErr = f(int(fd)) })
	return errors.Join(err, callErr)
}

// MaySetSecurebits reports whether programs can be started with securebits, see capabilities(7).
func MaySetSecurebits() bool {
	st, err := proc.Process(os.Getpid()).Status()
	return err == nil && st.CapEff.Has(unix.CAP_SETPCAP)
}
