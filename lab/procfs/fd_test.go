package procfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDescriptors(t *testing.T) {
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "two\nlines"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	must(t, err)
	defer file.Close()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	cmd := helper()
	cmd.ExtraFiles = []*os.File{file, w, null} // 3, 4, 5

	p := start(t, cmd)
	must(t, os.Remove(file.Name()))
	fds, err := p.Descriptors()
	must(t, err)
	byNumber := map[int]Descriptor{}
	for _, d := range fds {
		byNumber[d.Number] = d
	}
	d := byNumber[3]
	equal(t, "identity of 3", d.ID, identity(t, file))
	equal(t, "target of 3", d.Target, file.Name()+" (deleted)")
	equal(t, "flags of 3", d.Flags.String(), "O_RDWR|O_APPEND")
	equal(t, "identity of 4", byNumber[4].ID, identity(t, w))
	equal(t, "target of 4", strings.HasPrefix(byNumber[4].Target, "pipe:["), true)
	equal(t, "4 is /dev/null", byNumber[4].IsNull(), false)
	equal(t, "5 is /dev/null", byNumber[5].IsNull(), true)
}

func identity(t *testing.T, f *os.File) FileID {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Fstat(int(f.Fd()), &st))
	return FileID{Dev: st.Dev, Ino: st.Ino}
}

func TestParseFDInfo(t *testing.T) {
	d, err := parseFDInfo("pos:\t12\nflags:\t02100002\nmnt_id:\t27\nino:\t9978007\n" +
		"lock:\t1: FLOCK  ADVISORY  WRITE 708 00:13:13361 0 EOF\ntfd: 5 events: 19\nPollList:\n")
	must(t, err)
	equal(t, "Flags", d.Flags, unix.O_CLOEXEC|0o100000|unix.O_RDWR)
	equal(t, "Locks", len(d.Locks), 1)
	for text, where := range map[string]string{
		"mnt_id:\t5\n": "flags", "flags:\t8\n": "flags", "flags:\t0\nlock:\t1\n": "lock",
	} {
		refused(t, parseFDInfo, text, where)
	}
}

// TestLocks takes a lock of each kind, each on its own file, and waits for one.
func TestLocks(t *testing.T) {
	read := unix.Flock_t{Type: unix.F_RDLCK}
	part := unix.Flock_t{Type: unix.F_WRLCK, Start: 5, Len: 3}
	wants := map[FileID]Lock{}
	for kind, take := range map[string]func(fd uintptr) error{
		"FLOCK":  func(fd uintptr) error { return unix.Flock(int(fd), unix.LOCK_EX) },
		"POSIX":  func(fd uintptr) error { return unix.FcntlFlock(fd, unix.F_SETLK, &part) },
		"OFDLCK": func(fd uintptr) error { return unix.FcntlFlock(fd, unix.F_OFD_SETLK, &read) },
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), kind))
		must(t, err)
		defer f.Close()
		must(t, take(f.Fd()))
		want := Lock{Kind: kind, Access: "WRITE", PID: os.Getpid(), File: identity(t, f)}
		if kind == "OFDLCK" {
			want.Access, want.PID = "READ", -1
		}
		wants[want.File] = want
		if kind == "FLOCK" {
			other, err := os.Open(f.Name())
			must(t, err)
			defer other.Close()
			go unix.Flock(int(other.Fd()), unix.LOCK_EX)
			waitFor(t, Lock{Waiting: true, Kind: kind, Access: "WRITE", PID: os.Getpid(), File: want.File})
		}
	}
	all, err := proc.Locks()
	must(t, err)
	fds, err := proc.Process(os.Getpid()).Descriptors()
	must(t, err)
	var shown []Lock
	for _, d := range fds {
		shown = append(shown, d.Locks...)
	}
	for from, locks := range map[string][]Lock{"/proc/locks": all, "fdinfo": shown} {
		found := 0
		for _, l := range locks {
			if want := wants[l.File]; want.Kind != "" && !l.Waiting {
				equal(t, "lock in "+from, l, want)
				found++
			}
		}
		equal(t, "locks in "+from, found, len(wants))
	}
}

func waitFor(t *testing.T, lock Lock) {
	t.Helper()
	for {
		all, err := proc.Locks()
		must(t, err)
		if slices.Contains(all, lock) {
			return
		}
	}
}

func TestParseLocks(t *testing.T) {
	locks, err := parseLocks(`1: POSIX  ADVISORY  WRITE 4711 fe:00:9978011 0 EOF
1: -> POSIX  ADVISORY  WRITE 4712 fe:00:9978011 0 EOF
2: LEASE  BREAKING  READ  12 103:0a:5 0 EOF
3: OFDLCK *NOINODE* READ  -1 <none>:0 3 9
`)
	must(t, err)
	equal(t, "locks", len(locks), 4)
	equal(t, "Waiting", locks[1].Waiting, true)
	equal(t, "File", locks[2].File, FileID{Dev: unix.Mkdev(0x103, 10), Ino: 5})
	equal(t, "File as text", locks[0].File.String(), "fe:00:9978011")
	equal(t, "the last", locks[3], Lock{Kind: "OFDLCK", Access: "READ", PID: -1})
	for _, text := range []string{
		"\n", "1: FLOCK ADVISORY WRITE 1 fe:00:1 0", "1: ->", "1: FLOCK ADVISORY WRITE x fe:00:1 0 EOF",
		"1: FLOCK ADVISORY WRITE 1 fe00:1 0 EOF", "1: FLOCK ADVISORY WRITE 1 fe:00:x 0 EOF",
	} {
		refused(t, parseLocks, text, "line 1")
	}
}
