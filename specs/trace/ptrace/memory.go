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

// process reads what a system call's arguments point to. It is a TID: a main thread that ended before the others has
// neither memory nor descriptors any more.
type process int

// maxString bounds names.
const maxString = unix.PathMax

// bytes reads up to n bytes of memory, fewer where it ends. Each read stays within a page: process_vm_readv(2) returns
// nothing of a mapped page if the range also covers an unmapped one.
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

// text reads a NUL-terminated string.
func (p process) text(address uint64) string {
	text, _, _ := bytes.Cut(p.bytes(address, maxString), []byte{0})
	return string(text)
}

// word64 and word32 return 0 for unreadable memory, such as a NULL pointer.
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

// file is what a descriptor refers to, "" if it is not open.
func (p process) file(fd uint64) string {
	target, _ := os.Readlink(p.proc("fd", strconv.Itoa(int(int32(fd)))))
	return target
}

func (p process) proc(elem ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(int(p))}, elem...)...)
}

// absolute makes a name absolute without following links; with AT_EMPTY_PATH it is the descriptor's file.
func (p process) absolute(dir int32, name string) string {
	name = strings.Replace(name, "/proc/self/", p.proc()+"/", 1)
	switch {
	case name == "" && dir != unix.AT_FDCWD:
		return p.file(uint64(dir))
	case strings.HasPrefix(name, p.proc("fd")+"/"): // linked by its descriptor, see open(2), O_TMPFILE
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

// exists reports whether a file exists at the name, without following a final link.
func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// vector reads the beginning of the data of a struct iovec array.
func (p process) vector(array, n uint64) (data []byte) {
	for i := range min(n, maxData) {
		room := uint64(maxData - len(data))
		data = append(data, p.bytes(p.word64(array+16*i), int(min(p.word64(array+16*i+8), room)))...)
	}
	return data
}

// socket returns the name in a unix(7) address, with @ for an abstract one, "" for other families.
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
