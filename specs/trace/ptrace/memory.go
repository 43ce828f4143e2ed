package ptrace

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// process reads what the arguments of a system call mean. It is the TID: a main thread that has ended before the others
// has neither memory nor descriptors any more.
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

// absolute is a name as it leads from the root, before any link is followed; with AT_EMPTY_PATH the descriptor's file.
func (p process) absolute(dir int32, name string) string {
	name = strings.Replace(name, "/proc/self/", p.proc()+"/", 1)
	switch {
	case name == "" && dir != unix.AT_FDCWD:
		return p.file(uint64(dir))
	case strings.HasPrefix(name, p.proc("fd")+"/"): // a file that is linked by its descriptor, see open(2), O_TMPFILE
		target, _ := os.Readlink(name)
		return target
	case filepath.IsAbs(name):
		return filepath.Clean(name)
	case dir == unix.AT_FDCWD:
		cwd, _ := os.Readlink(p.proc("cwd"))
		return filepath.Join(cwd, name)
	}
	return filepath.Join(p.file(uint64(dir)), name)
}

// exists reports whether a name leads to a file, the last link not followed.
func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// vector reads the beginning of what an array of struct iovec leads to.
func (p process) vector(array, n uint64) (data []byte) {
	for i := range min(n, maxData) {
		room := uint64(maxData - len(data))
		data = append(data, p.bytes(p.word64(array+16*i), int(min(p.word64(array+16*i+8), room)))...)
	}
	return data
}

// socket is the name in an address of unix(7), an abstract one with @, "" of any other.
func (p process) socket(address, size uint64) string {
	sa := p.bytes(address, int(min(size, unix.SizeofSockaddrUnix)))
	if len(sa) < 3 || binary.NativeEndian.Uint16(sa) != unix.AF_UNIX {
		return ""
	}
	name, abstract := strings.CutPrefix(string(sa[2:]), "\x00")
	name, _, _ = strings.Cut(name, "\x00")
	if abstract {
		return "@" + name
	}
	return name
}
