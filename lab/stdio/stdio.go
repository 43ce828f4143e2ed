// Package stdio prints to stdout, and reports an error if that is closed or full.
package stdio

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const stdout = 1

// Print writes to stdout. That it is closed or full is an error.
func Print(text string) error {
	err := CheckStdout()
	if err == nil {
		_, err = os.Stdout.WriteString(text)
	}
	return err
}

// CheckStdout fails with EBADF when the program was started with stdout closed. Go's runtime has opened /dev/null in its
// place (runtime.checkfds), for reading as well, which a shell's > /dev/null is not. A /dev/null that is one open file
// description with stdin or stderr, as of daemon(3), is the starter's. Any other one for reading as well looks the same
// as a closed stdout.
func CheckStdout() error {
	var st unix.Stat_t
	flags, err := unix.FcntlInt(stdout, unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE != unix.O_RDWR || unix.Fstat(stdout, &st) != nil || st.Rdev != unix.Mkdev(1, 3) {
		return nil
	}
	for _, other := range []int{0, 2} {
		if sameDescription(stdout, other) {
			return nil
		}
	}
	return fmt.Errorf("write stdout: closed, or /dev/null opened for reading too: %w", unix.EBADF)
}

// sameDescription reports whether two descriptors are of one open file description. F_DUPFD_QUERY is there from Linux
// 6.10 on; kcmp(2) is older, but the seccomp filters of containers refuse it.
func sameDescription(a, b int) bool {
	if same, err := unix.FcntlInt(uintptr(a), unix.F_DUPFD_QUERY, b); err == nil {
		return same == 1
	}
	const kcmpFile = 0
	pid := uintptr(unix.Getpid())
	order, _, errno := unix.Syscall6(unix.SYS_KCMP, pid, pid, kcmpFile, uintptr(a), uintptr(b), 0)
	return errno == 0 && order == 0
}
