package procfs

import (
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// OpenFlags are the file status flags of an open file and its descriptor's close-on-exec flag, as fdinfo shows them.
type OpenFlags uint64

// openFlagNames has flags of several bits before the flags they contain. The kernel does not keep flags that only
// open(2) uses, such as O_CREAT.
var openFlagNames = []struct {
	bits OpenFlags
	name string
}{
	{unix.O_TMPFILE, "O_TMPFILE"}, {unix.O_SYNC, "O_SYNC"}, {unix.O_APPEND, "O_APPEND"}, {unix.O_ASYNC, "O_ASYNC"},
	{unix.O_CLOEXEC, "O_CLOEXEC"}, {unix.O_DIRECT, "O_DIRECT"}, {unix.O_DIRECTORY, "O_DIRECTORY"},
	{unix.O_DSYNC, "O_DSYNC"}, {unix.O_NOATIME, "O_NOATIME"}, {unix.O_NOFOLLOW, "O_NOFOLLOW"},
	{unix.O_NONBLOCK, "O_NONBLOCK"}, {unix.O_PATH, "O_PATH"},
}

// String names the flags: `O_RDWR|O_CLOEXEC`. O_LARGEFILE is left out: the kernel adds it to every open(2) of a 64-bit
// program. Bits without a name follow in octal.
func (f OpenFlags) String() string {
	names := []string{[]string{"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"}[f&unix.O_ACCMODE]}
	rest := f &^ (unix.O_ACCMODE | largeFile())
	for _, flag := range openFlagNames {
		if rest&flag.bits == flag.bits {
			names = append(names, flag.name)
			rest &^= flag.bits
		}
	}
	if rest != 0 {
		names = append(names, fmt.Sprintf("%#o", uint64(rest)))
	}
	return strings.Join(names, "|")
}

// largeFile is the kernel's O_LARGEFILE; Go's packages say 0 on 64-bit machines.
func largeFile() OpenFlags {
	if runtime.GOARCH == "arm64" {
		return 0o400000 // arch/arm64/include/uapi/asm/fcntl.h
	}
	return 0o100000 // include/uapi/asm-generic/fcntl.h
}
