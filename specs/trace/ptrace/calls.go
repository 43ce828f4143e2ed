package ptrace

import (
	"os"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/trace/event"
)

// decoder reads a system call: at entry, before the kernel changes anything, and at exit.
type decoder struct {
	name  string
	enter func(p process, e *event.Event)
	exit  func(p process, e *event.Event)
}

// calls are those that matter for a daemon's start and service. Leaving out the rest hides most of what a runtime
// does.
var calls = map[uint64]decoder{
	unix.SYS_CLONE:           {name: "clone"},
	unix.SYS_CLONE3:          {name: "clone3"},
	unix.SYS_SETSID:          {name: "setsid"},
	unix.SYS_SETPGID:         {name: "setpgid"},
	unix.SYS_WAIT4:           {name: "wait4"},
	unix.SYS_WAITID:          {name: "waitid", exit: waited},
	unix.SYS_EXECVE:          {name: "execve", enter: pathAt(0)},
	unix.SYS_EXECVEAT:        {name: "execveat", enter: pathAt(1)},
	unix.SYS_DUP:             {name: "dup", enter: onFile},
	unix.SYS_DUP3:            {name: "dup3", enter: onFile},
	unix.SYS_CLOSE:           {name: "close", enter: onFile},
	unix.SYS_CLOSE_RANGE:     {name: "close_range"},
	unix.SYS_RT_SIGACTION:    {name: "sigaction", enter: handler},
	unix.SYS_RT_SIGPROCMASK:  {name: "sigprocmask", enter: mask},
	unix.SYS_UMASK:           {name: "umask"},
	unix.SYS_CHDIR:           {name: "chdir", enter: pathAt(0)},
	unix.SYS_FCHDIR:          {name: "fchdir", enter: onFile},
	unix.SYS_OPENAT:          {name: "open", enter: openedAt(0, 2), exit: newFile},
	unix.SYS_OPENAT2:         {name: "open", enter: openHow, exit: newFile},
	unix.SYS_NEWFSTATAT:      {name: "lstat", enter: statedAt},
	unix.SYS_READLINKAT:      {name: "lstat", enter: namedAt(0, 1)},
	unix.SYS_FLOCK:           {name: "flock", enter: onFile},
	unix.SYS_FCNTL:           {name: "fcntl", enter: lock},
	unix.SYS_WRITE:           {name: "write", enter: written},
	unix.SYS_PWRITE64:        {name: "pwrite", enter: written},
	unix.SYS_WRITEV:          {name: "writev", enter: gathered},
	unix.SYS_PWRITEV:         {name: "pwritev", enter: gathered},
	unix.SYS_PWRITEV2:        {name: "pwritev", enter: gathered},
	unix.SYS_SENDTO:          {name: "sendto", enter: sentTo},
	unix.SYS_SENDMSG:         {name: "sendmsg", enter: sentMessage},
	unix.SYS_CONNECT:         {name: "connect", enter: connected},
	unix.SYS_READ:            {name: "read", enter: onFile, exit: received},
	unix.SYS_RECVFROM:        {name: "recv", enter: onFile, exit: received},
	unix.SYS_FTRUNCATE:       {name: "ftruncate", enter: onFile},
	unix.SYS_TRUNCATE:        {name: "truncate", enter: named(0)},
	unix.SYS_FCHMOD:          {name: "fchmod", enter: onFile},
	unix.SYS_FCHMODAT:        {name: "chmod", enter: modeOf(0, 1)},
	sysFchmodat2:             {name: "chmod", enter: modeOf(0, 1)},
	unix.SYS_UNLINKAT:        {name: "unlink", enter: namedAt(0, 1)},
	unix.SYS_RENAMEAT:        {name: "rename", enter: renamedAt(0, 1, 2, 3)},
	unix.SYS_RENAMEAT2:       {name: "rename", enter: renamedAt(0, 1, 2, 3)},
	unix.SYS_LINKAT:          {name: "link", enter: renamedAt(0, 1, 2, 3)},
	unix.SYS_SYMLINKAT:       {name: "symlink", enter: namedAt(1, 2)},
	unix.SYS_PIPE2:           {name: "pipe", exit: pipe},
	unix.SYS_SETGROUPS:       {name: "setgroups"},
	unix.SYS_SETRESGID:       {name: "setresgid"},
	unix.SYS_SETRESUID:       {name: "setresuid"},
	unix.SYS_SETREGID:        {name: "setregid"},
	unix.SYS_SETREUID:        {name: "setreuid"},
	unix.SYS_SETGID:          {name: "setgid"},
	unix.SYS_SETUID:          {name: "setuid"},
	unix.SYS_CAPSET:          {name: "capset", enter: capabilities},
	unix.SYS_PRCTL:           {name: "prctl"},
	unix.SYS_SETNS:           {name: "setns", enter: onFile},
	unix.SYS_UNSHARE:         {name: "unshare"},
	unix.SYS_MQ_OPEN:         {name: "mq_open", enter: queueOpened},
	unix.SYS_MQ_UNLINK:       {name: "mq_unlink", enter: onQueue},
	unix.SYS_MQ_NOTIFY:       {name: "mq_notify", enter: notification},
	unix.SYS_MQ_TIMEDRECEIVE: {name: "mq_receive", enter: onFile},
	unix.SYS_MQ_TIMEDSEND:    {name: "mq_send", enter: onFile},
	unix.SYS_MQ_GETSETATTR:   {name: "mq_getattr", enter: onFile},
}

const (
	// maxData is enough of a write to recognise a PID or a readiness report.
	maxData = 64
	// sysFchmodat2 is the same number on every architecture (Linux 6.6).
	sysFchmodat2 = 452
	// here stands in for a missing directory descriptor.
	here = -1
)

func pathAt(i int) func(process, *event.Event) {
	return func(p process, e *event.Event) { e.Path = p.text(e.Args[i]) }
}

func onFile(p process, e *event.Event) { e.File = p.file(e.Args[0]) }

func named(path int) func(process, *event.Event) { return namedAt(here, path) }

// namedAt sets the name and its absolute form.
func namedAt(dir, path int) func(process, *event.Event) {
	return func(p process, e *event.Event) {
		e.Path = p.text(e.Args[path])
		e.File = p.absolute(directory(e, dir), e.Path)
	}
}

func directory(e *event.Event, dir int) int32 {
	if dir == here {
		return unix.AT_FDCWD
	}
	return int32(e.Args[dir])
}

func renamedAt(dir, path, toDir, to int) func(process, *event.Event) {
	return func(p process, e *event.Event) {
		namedAt(dir, path)(p, e)
		e.To = p.absolute(directory(e, toDir), p.text(e.Args[to]))
	}
}

// modeOf puts the mode where fchmod(2) has it.
func modeOf(dir, path int) func(process, *event.Event) {
	return func(p process, e *event.Event) {
		namedAt(dir, path)(p, e)
		e.Args[1] = e.Args[path+1]
	}
}

// statedAt keeps only calls that do not follow symbolic links.
func statedAt(p process, e *event.Event) {
	if e.Args[3]&unix.AT_SYMLINK_NOFOLLOW == 0 {
		e.Name = ""
		return
	}
	namedAt(0, 1)(p, e)
}

// onQueue adds the slash that mq_open(3) has and the system call has not.
func onQueue(p process, e *event.Event) { e.Path = "/" + p.text(e.Args[0]) }

// openedAt puts the flags into Value; the path is the argument before them.
func openedAt(dir, flags int) func(process, *event.Event) {
	return func(p process, e *event.Event) {
		namedAt(dir, flags-1)(p, e)
		e.Value = e.Args[flags]
		e.Existed = exists(e.File)
	}
}

func openHow(p process, e *event.Event) {
	const resolve = 16 // offset in struct open_how
	namedAt(0, 1)(p, e)
	e.Value, e.Existed = p.word64(e.Args[2]), exists(e.File)
	if p.word64(e.Args[2]+resolve)&unix.RESOLVE_NO_SYMLINKS != 0 {
		e.Value |= unix.O_NOFOLLOW
	}
}

func created(p process, e *event.Event) {
	namedAt(here, 0)(p, e)
	e.Value, e.Existed = unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, exists(e.File)
}

func newFile(p process, e *event.Event) {
	if e.Result >= 0 {
		e.File = p.file(uint64(e.Result))
	}
}

// handler sets the new disposition: SIG_DFL is 0, SIG_IGN 1. Without a new action the call only reads, and the name is
// cleared.
func handler(p process, e *event.Event) {
	if e.Args[1] == 0 {
		e.Name = ""
	}
	e.Value = p.word64(e.Args[1])
}

func mask(p process, e *event.Event) {
	if e.Args[1] == 0 {
		e.Name = ""
	}
	e.Value, e.Old = p.word64(e.Args[1]), blocked(e.TID)
}

// lock keeps fcntl(2) calls that lock; Value is l_type, the first field of struct flock.
func lock(p process, e *event.Event) {
	switch e.Args[1] {
	case unix.F_SETLK, unix.F_SETLKW, unix.F_OFD_SETLK, unix.F_OFD_SETLKW:
		e.File, e.Value = p.file(e.Args[0]), uint64(p.word32(e.Args[2])&0xffff)
	default:
		e.Name = ""
	}
}

func written(p process, e *event.Event) {
	e.File, e.Data = p.file(e.Args[0]), p.bytes(e.Args[1], int(min(e.Args[2], maxData)))
}

func gathered(p process, e *event.Event) {
	e.File, e.Data = p.file(e.Args[0]), p.vector(e.Args[1], e.Args[2])
}

// sentTo, sentMessage and connected set Path to the name of a unix(7) socket, if the call has one.
func sentTo(p process, e *event.Event) {
	written(p, e)
	e.Path = p.socket(e.Args[4], e.Args[5])
}

func sentMessage(p process, e *event.Event) { // struct msghdr: name, its length, vector, its length
	e.File, e.Path = p.file(e.Args[0]), p.socket(p.word64(e.Args[1]), uint64(p.word32(e.Args[1]+8)))
	e.Data = p.vector(p.word64(e.Args[1]+16), p.word64(e.Args[1]+24))
}

func connected(p process, e *event.Event) {
	e.File, e.Path = p.file(e.Args[0]), p.socket(e.Args[1], e.Args[2])
}

func received(p process, e *event.Event) {
	if e.Result > 0 {
		e.Data = p.bytes(e.Args[1], int(min(e.Result, maxData)))
	}
}

func pipe(p process, e *event.Event) { e.File = p.file(uint64(p.word32(e.Args[0]))) } // both ends have the same name

// waited puts si_pid where wait4(2) returns it.
func waited(p process, e *event.Event) {
	const siPID = 12 // offset in siginfo_t
	if e.Result == 0 && e.Args[2] != 0 {
		e.Result = int64(p.word32(e.Args[2] + siPID))
	}
}

// capabilities reads effective and permitted of both halves, see capget(2).
func capabilities(p process, e *event.Event) {
	const half = 12
	e.Value = uint64(p.word32(e.Args[1])) | uint64(p.word32(e.Args[1]+half))<<32
	e.Old = uint64(p.word32(e.Args[1]+4)) | uint64(p.word32(e.Args[1]+half+4))<<32
}

func queueOpened(p process, e *event.Event) {
	onQueue(p, e)
	e.Value = e.Args[1]
	if e.Value&unix.O_CREAT == 0 {
		return
	}
	q, err := mq.Open(e.Path, os.O_WRONLY, 0, nil)
	if err == nil {
		q.Close() // closing it here affects no other process's registration
	}
	e.Existed = err == nil || os.IsPermission(err)
}

// notification sets sigev_notify; Args[1] is 0 when a registration is cancelled.
func notification(p process, e *event.Event) {
	const sigevNotify = 12 // offset in struct sigevent
	e.File = p.file(e.Args[0])
	if e.Args[1] != 0 {
		e.Value = uint64(p.word32(e.Args[1] + sigevNotify))
	}
}
