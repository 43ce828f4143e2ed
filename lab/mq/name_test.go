package mq_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

// CheckName and the kernel must agree on every name.
func FuzzName(f *testing.F) {
	for _, name := range []string{
		"", "/", "name", "/name", "//", "/a/b", "/x/", "/.", "/..", "/...", "/..x",
		"/a\x00", "/x\x00/y", "\x00", "/ \n\xff", "/\x80\xfe",
		"/" + strings.Repeat("x", 255), "/" + strings.Repeat("x", 256), "/" + strings.Repeat("x/", 3000),
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		want := mq.CheckName(name)
		q, err := mq.Open(name, os.O_RDONLY, 0, nil)
		if err == nil {
			q.Close()
		}
		if want == nil && (err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES)) {
			return // no such queue, or not ours
		}
		if want == nil || err == nil || errors.Unwrap(want) != errors.Unwrap(err) || want.Error() != err.Error() {
			t.Fatalf("CheckName: %v\nOpen: %v", want, err)
		}
	})
}
