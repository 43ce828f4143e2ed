package sysv

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Status is what the kernel tells of a queue: struct msqid_ds of msgctl(2).
type Status struct {
	ID   int
	Key  Key    // Private where it has none
	Mode uint32 // permission bits, 0777 at most

	UID, GID               uint32 // the owner; Set changes it
	CreatorUID, CreatorGID uint32

	Messages int // in the queue now
	Bytes    int // of their texts
	MaxBytes int // that they may have together (msg_qbytes), and how many messages there may be

	LastSender   int // PID of the last msgsnd, 0 before the first and for a process that this PID namespace does not see
	LastReceiver int // likewise of the last msgrcv; of the thread, gettid(2), if that had to sleep for its message

	Sent, Received time.Time // when that was, in whole seconds; zero before the first
	Changed        time.Time // when the queue was made or Set was last used
}

// Status asks for the queue's state, IPC_STAT. It needs permission to read the queue.
func (q Queue) Status() (Status, error) {
	var ds msqidDS
	if _, errno := sysControl(q.id, unix.IPC_STAT, &ds); errno != 0 {
		return Status{}, q.explainControl("IPC_STAT", errno)
	}
	return ds.status(q.id), nil
}

// Look is Status without permission, MSG_STAT_ANY, as everybody can also read /proc/sysvipc/msg. Linux 4.17 or newer.
func (q Queue) Look() (Status, error) {
	s, errno := look(q.id)
	if errno == 0 && s.ID != q.id { // the place in the table is another queue's
		errno = unix.EINVAL
	}
	if errno != 0 {
		return Status{}, q.explainControl("MSG_STAT_ANY", errno)
	}
	return s, nil
}

// look takes an index in the kernel's table, which a number of a queue holds in its lower bits.
func look(index int) (Status, unix.Errno) {
	var ds msqidDS
	id, errno := sysControl(index, msgStatAny, &ds)
	return ds.status(id), errno
}

// Queues lists all queues of the IPC namespace, as ipcs(1) does.
func Queues() ([]Status, error) {
	var info msgInfo
	highest, errno := sysInfo(msgInfoAll, &info)
	if errno != 0 {
		return nil, fmt.Errorf("msgctl MSG_INFO: %w", errno)
	}
	var all []Status
	for index := 0; index <= highest; index++ {
		s, errno := look(index)
		switch errno {
		case 0:
			all = append(all, s)
		case unix.EINVAL, unix.EIDRM: // nothing at this place
		default:
			return nil, fmt.Errorf("msgctl MSG_STAT_ANY: %w", errno)
		}
	}
	return all, nil
}

func (ds *msqidDS) status(id int) Status {
	return Status{
		ID: id, Key: Key(ds.perm.Key), Mode: ds.perm.Mode & 0o777,
		UID: ds.perm.Uid, GID: ds.perm.Gid, CreatorUID: ds.perm.Cuid, CreatorGID: ds.perm.Cgid,
		Messages: int(ds.qnum), Bytes: int(ds.cbytes), MaxBytes: int(ds.qbytes),
		LastSender: int(ds.lspid), LastReceiver: int(ds.lrpid),
		Sent: seconds(ds.stime), Received: seconds(ds.rtime), Changed: seconds(ds.ctime),
	}
}

func seconds(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// Settings are what Set changes.
type Settings struct {
	UID, GID uint32
	Mode     uint32
	MaxBytes int // above msgmnb for processes with CAP_SYS_RESOURCE only
}

// Settings are those in force, for Set to change some of them.
func (s Status) Settings() Settings { return Settings{s.UID, s.GID, s.Mode, s.MaxBytes} }

// Set changes owner, mode and size of the queue, IPC_SET. Only its owner and its creator may, whatever the mode says:
// others get EPERM, as does who wants more than msgmnb bytes. Messages that do not fit any more stay.
func (q Queue) Set(s Settings) error {
	ds := msqidDS{qbytes: uint64(max(s.MaxBytes, 0))}
	ds.perm.Uid, ds.perm.Gid, ds.perm.Mode = s.UID, s.GID, s.Mode
	if _, errno := sysControl(q.id, unix.IPC_SET, &ds); errno != 0 {
		return q.explainSet(s, errno)
	}
	return nil
}

// Remove removes the queue with all its messages, IPC_RMID, at once, whoever uses it: those who wait for it wake with
// EIDRM. Only its owner and its creator may; others get EPERM.
func (q Queue) Remove() error {
	if _, errno := sysControl(q.id, unix.IPC_RMID, nil); errno != 0 {
		return q.explainControl("IPC_RMID", errno)
	}
	return nil
}

// Limits are what the IPC namespace allows, /proc/sys/kernel/msg*.
type Limits struct {
	MsgMax int // bytes in the text of a message
	MsgMnb int // bytes in all texts of a queue when it is made
	MsgMni int // queues
}

// SystemLimits asks for the limits in force, IPC_INFO.
func SystemLimits() (Limits, error) {
	var info msgInfo
	if _, errno := sysInfo(ipcInfo, &info); errno != 0 {
		return Limits{}, fmt.Errorf("msgctl IPC_INFO: %w", errno)
	}
	return Limits{MsgMax: int(info.msgmax), MsgMnb: int(info.msgmnb), MsgMni: int(info.msgmni)}, nil
}
