package ptrace

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// process reads what the arguments of its system calls mean.
type process int

// maxString bounds a name that is read.
const maxString = unix.PathMax

// bytes reads up to n bytes of the memory, fewer where it ends. It reads at most to the end of a page at a time, since
// process_vm_readv(2) gives nothing of a page that is there when it is asked for one beside it that is not.
func (p process) bytes(address uint64, n int) []byte {
	got := make([]byte, 0, min(n, maxString))
	for len(got) < n {
		at := address + uint64(len(got))
		part := make([]byte, min(uint64(n-len(got)), pageSize-at%pageSize))
		local := []unix.Iovec{{Base: &part[0]}}
		local[0].SetLen(len(part))
		read, err := unix.ProcessVMReadv(int(p), local, []unix.RemoteIovec{{Base: uintptr(at), Len: len(part)}}, 0)
		if err != nil || read == 0 {
			break
		}
		got = append(got, part[:read]...)
		if bytes.IndexByte(part[:read], 0) >= 0 && n == maxString {
			break // the end of a string
		}
	}
	return got
}

var pageSize = uint64(os.Getpagesize())

// text reads a string that ends in a NUL.
func (p process) text(address uint64) string {
	text, _, _ := bytes.Cut(p.bytes(address, maxString), []byte{0})
	return string(text)
}

// word64 and word32 are 0 where there is no memory, as behind a NULL pointer.
func (p process) word64(address uint64) uint64 {
	if b := p.bytes(address, 8); len(b) == 8 {
		return binary.NativeEndian.Uint64(b)
	}
	return 0
}

func (p process) word32(address uint64) uint32 {
	if b := p.bytes(address, 4); len(b) == 4 {
		return binary.NativeEndian.Uint32(b)
	}
	return 0
}

// file is what a descriptor leads to, "" when it is not open.
func (p process) file(fd uint64) string {
	target, _ := os.Readlink(p.proc("fd", strconv.Itoa(int(int32(fd)))))
	return target
}

func (p process) proc(elem ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(int(p))}, elem...)...)
}

// exists tells whether a name leads to a file, the last link not followed.
func (p process) exists(name string) bool {
	if !filepath.IsAbs(name) {
		cwd, err := os.Readlink(p.proc("cwd"))
		if err != nil {
			return false
		}
		name = filepath.Join(cwd, name)
	}
	_, err := os.Lstat(name)
	return err == nil
}
