package facts_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/facts"
)

func TestJunk(t *testing.T) {
	env := []string{"PATH=/bin", "PATHS=/tmp", "LC_ALL=C", "LC=C", "", "no equals sign", "TZ=UTC"}
	if got := facts.Junk(env); !slices.Equal(got, []string{"PATHS=/tmp", "LC=C", "no equals sign"}) {
		t.Errorf("junk is %q", got)
	}
}

func TestOfItself(t *testing.T) {
	f, err := facts.Of(os.Getpid())
	if err != nil || f.Stat.Pid != os.Getpid() || len(f.Tasks) == 0 || len(f.Descriptors) == 0 || f.Cwd == "" {
		t.Errorf("%+v, %v", f, err)
	}
	if ids := f.Descriptors[len(f.Descriptors)-1]; ids.Number >= facts.Stdio &&
		len(facts.Inherited(f.Descriptors, []procfs.FileID{ids.ID})) == 0 {
		t.Errorf("%v is not inherited", ids)
	}
}

// TestLocked locks through another open file, as another process does.
func TestLocked(t *testing.T) {
	for name, lock := range map[string]func(fd uintptr) error{
		"none":  func(uintptr) error { return nil },
		"flock": func(fd uintptr) error { return unix.Flock(int(fd), unix.LOCK_EX) },
		"OFD": func(fd uintptr) error {
			return unix.FcntlFlock(fd, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		},
	} {
		path := filepath.Join(t.TempDir(), "pid")
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := lock(file.Fd()); err != nil {
			t.Fatal(err)
		}
		file.WriteString("42\n")
		f, err := facts.ReadPIDFile(path)
		if err != nil || f.Locked != (name != "none") || !f.Names(42) || f.Names(4) || f.Mode != 0o600 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}
