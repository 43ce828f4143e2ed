package sysv

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Key is what unrelated programs find a queue by, where a POSIX queue has a name: a number that they have to agree on.
type Key int32

// Private, IPC_PRIVATE, is no key: Get makes a new queue that can be found by its number only.
const Private Key = unix.IPC_PRIVATE

// String is the key as ipcs(1) shows it.
func (k Key) String() string { return fmt.Sprintf("0x%08x", uint32(k)) }

// FileKey is ftok(3): a key from a file that exists and a project, which must not be 0. It is made of 8 bits of the
// project, 8 of the device and 16 of the inode, so two files can have one key, and a file that is made anew gets
// another.
func FileKey(path string, project byte) (Key, error) {
	if project == 0 {
		return 0, &os.PathError{Op: "ftok", Path: path, Err: unix.EINVAL}
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "ftok", Path: path, Err: err}
	}
	return Key(uint32(project)<<24 | uint32(st.Dev&0xff)<<16 | uint32(st.Ino&0xffff)), nil
}
