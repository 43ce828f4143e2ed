package ptrace

import "golang.org/x/sys/unix"

// Newer architectures, arm64 among them, have none of these system calls.
func init() {
	for number, d := range map[uint64]decoder{
		unix.SYS_FORK:     {name: "fork"},
		unix.SYS_VFORK:    {name: "vfork"},
		unix.SYS_DUP2:     {name: "dup2", enter: onFile},
		unix.SYS_OPEN:     {name: "open", enter: openedAt(here, 1), exit: newFile},
		unix.SYS_CREAT:    {name: "open", enter: created, exit: newFile},
		unix.SYS_LSTAT:    {name: "lstat", enter: named(0)},
		unix.SYS_READLINK: {name: "lstat", enter: named(0)},
		unix.SYS_CHMOD:    {name: "chmod", enter: modeOf(here, 0)},
		unix.SYS_UNLINK:   {name: "unlink", enter: named(0)},
		unix.SYS_RENAME:   {name: "rename", enter: renamedAt(here, 0, here, 1)},
		unix.SYS_LINK:     {name: "link", enter: renamedAt(here, 0, here, 1)},
		unix.SYS_SYMLINK:  {name: "symlink", enter: named(1)},
		unix.SYS_PIPE:     {name: "pipe", exit: pipe},
	} {
		calls[number] = d
	}
}
