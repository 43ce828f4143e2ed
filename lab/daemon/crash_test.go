package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/pidfd"
)

func TestACrashAfterReadinessLeavesItsTextAndStack(t *testing.T) {
	for _, c := range []struct {
		signal unix.Signal
		onUSR1 string
		want   []string
	}{
		{unix.SIGUSR1, "panic", []string{"panic: a bug\n", "daemon_test.obey("}},
		{unix.SIGUSR1, "fatal error", []string{"sync.(*Mutex).Unlock(", "daemon_test.obey("}},
		{unix.SIGSEGV, "", []string{"SIGSEGV: segmentation violation\n", "\ngoroutine "}},
	} {
		t.Run(c.signal.String()+c.onUSR1, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "crash")
			pid, err := start(t, order{Crash: file, OnUSR1: c.onUSR1})
			must(t, err)
			process, err := pidfd.Open(pid)
			must(t, err)
			defer process.Close()
			must(t, process.Signal(c.signal))
			must(t, process.Wait(t.Context()))
			text, err := os.ReadFile(file)
			must(t, err)
			for _, part := range c.want {
				if !strings.Contains(string(text), part) {
					t.Errorf("%q is not in the text of the crash:\n%s", part, text)
				}
			}
		})
	}
}
