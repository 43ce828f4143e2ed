package ptrace

import (
	"reflect"
	"testing"
)

// The offsets are those of struct ptrace_syscall_info in linux/ptrace.h.
func TestCallInfoLayout(t *testing.T) {
	info := reflect.TypeFor[callInfo]()
	if info.Size() != 88 {
		t.Errorf("size: %d, not 88", info.Size())
	}
	for name, want := range map[string]uintptr{"arch": 4, "ip": 8, "sp": 16, "data": 24} {
		if f, found := info.FieldByName(name); !found || f.Offset != want {
			t.Errorf("%s: %d, not %d", name, f.Offset, want)
		}
	}
}
