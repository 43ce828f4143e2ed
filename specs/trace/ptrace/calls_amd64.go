package ptrace

import (
	"golang.org/x/sys/unix"

	"daemonlab/specs/trace/event"
)

// Newer architectures, arm64 among them, have none of these system calls.
func init() {
	for number, d := range map[uint64]decoder{
		unix.SYS_FORK:   {name: "fork"},
		unix.SYS_VFORK:  {name: "vfork"},
		unix.SYS_DUP2:   {name: "dup2", enter: fileAt(0)},
		unix.SYS_OPEN:   {name: "open", enter: openedAt(0, 1), exit: newFile},
		unix.SYS_CREAT:  {name: "creat", enter: created, exit: newFile},
		unix.SYS_UNLINK: {name: "unlink", enter: pathAt(0)},
		unix.SYS_PIPE:   {name: "pipe", exit: pipe},
	} {
		calls[number] = d
	}
}

func created(p process, e *event.Event) {
	e.Path, e.Value = p.text(e.Args[0]), unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC
	e.Existed = p.exists(e.Path)
}
