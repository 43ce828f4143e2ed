package main_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// patience is the program's own.
const patience = 10 * time.Second

// What else the program does is stated in specs/sysv; here is what takes it long.
func TestPatience(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	svfile := build(t)
	t.Run("with a server that", func(t *testing.T) {
		t.Run("never answers", func(t *testing.T) {
			t.Parallel()
			q, key := newQueue(t)
			mustGiveUp(t, svfile, key)
			buf := make([]byte, wire.RequestSize)
			n, _, err := q.Receive(buf, 0, sysv.NoWait)
			if err != nil {
				t.Fatal(err)
			}
			r, err := wire.ParseRequest(buf[:n])
			if err != nil || r.Path != "file" {
				t.Fatalf("it sent %+v, %v", r, err)
			}
			if _, err := sysv.ByID(r.Queue).Look(); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("its queue is left: %v", err)
			}
		})
		t.Run("takes no request", func(t *testing.T) {
			t.Parallel()
			q, key := newQueue(t)
			for _, size := range []int{1024, 1} {
				for q.Send(1, make([]byte, size), sysv.NoWait) == nil {
				}
			}
			mustGiveUp(t, svfile, key)
		})
	})
}

func build(t *testing.T) string {
	t.Helper()
	svfile := filepath.Join(t.TempDir(), "svfile")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", svfile)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return svfile
}

// newQueue makes a queue that nobody serves.
func newQueue(t *testing.T) (sysv.Queue, sysv.Key) {
	t.Helper()
	for {
		key := sysv.Key(rand.Int32() | 1)
		q, err := sysv.Get(key, sysv.Create|sysv.Exclusive, wire.QueueMode)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { q.Remove() })
		return q, key
	}
}

func mustGiveUp(t *testing.T, svfile string, key sysv.Key) {
	t.Helper()
	began := time.Now()
	cmd := exec.Command(svfile, "--key", key.String(), "file")
	out, _ := cmd.CombinedOutput()
	if want := fmt.Sprintf("svfile: no server: nothing from it for %v\n", patience); string(out) != want {
		t.Errorf("it says %q, not %q", out, want)
	}
	if status := cmd.ProcessState.ExitCode(); status != 3 {
		t.Errorf("exit status %d", status)
	}
	if took := time.Since(began); took < patience {
		t.Errorf("it took %v", took)
	}
}
