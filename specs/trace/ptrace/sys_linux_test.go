package ptrace

import (
	"testing"
	"unsafe"
)

// The offsets are those of struct ptrace_syscall_info in linux/ptrace.h.
func TestCallInfoLayout(t *testing.T) {
	var info callInfo
	for name, at := range map[string][2]uintptr{
		"arch": {unsafe.Offsetof(info.arch), 4},
		"ip":   {unsafe.Offsetof(info.ip), 8},
		"sp":   {unsafe.Offsetof(info.sp), 16},
		"data": {unsafe.Offsetof(info.data), 24},
		"size": {unsafe.Sizeof(info), 88},
	} {
		if at[0] != at[1] {
			t.Errorf("%s: %d, not %d", name, at[0], at[1])
		}
	}
}
