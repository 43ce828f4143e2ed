package procfs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
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
	cmd := helper("wait")
	cmd.ExtraFiles = []*os.File{file, w, null} // 3, 4, 5

	p := start(t, cmd)
	must(t, os.Remove(file.Name()))
	fds, err := p.Descriptors()
	must(t, err)
	byNumber := map[int]procfs.Descriptor{}
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

func identity(t *testing.T, f *os.File) procfs.FileID {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Fstat(int(f.Fd()), &st))
	return procfs.FileID{Dev: st.Dev, Ino: st.Ino}
}

func TestParseFDInfo(t *testing.T) {
	info, err := procfs.ParseFDInfo(strings.NewReader("pos:\t12\nflags:\t02100002\nmnt_id:\t27\nino:\t9978007\n" +
		"lock:\t1: FLOCK  ADVISORY  WRITE 708 00:13:13361 0 EOF\ntfd: 5 events: 19\nPollList:\n"))
	must(t, err)
	equal(t, "Flags", info.Flags, unix.O_CLOEXEC|0o100000|unix.O_RDWR)
	equal(t, "Locks", len(info.Locks), 1)

	for line, text := range []string{"mnt_id:\t5\n", "flags:\t8\n", "flags:\t0\nlock:\t1\n"} {
		_, err := procfs.ParseFDInfo(strings.NewReader(text))
		refused(t, err, "fdinfo", line)
	}
}

// helperLock takes a lock of each kind, on one file each.
func helperLock(files []string) error {
	take := []func(fd uintptr) error{
		func(fd uintptr) error { return unix.Flock(int(fd), unix.LOCK_EX) },
		func(fd uintptr) error {
			return unix.FcntlFlock(fd, unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: 5, Len: 3})
		},
		func(fd uintptr) error {
			return unix.FcntlFlock(fd, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
		},
	}
	for i, name := range files {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		held = append(held, f)
		if err := take[i](f.Fd()); err != nil {
			return err
		}
	}
	return nil
}

// held keeps the garbage collector from closing locked files.
var held []*os.File

// helperFlock waits for a lock on a thread of its own.
func helperFlock(files []string) error {
	f, err := os.Open(files[0])
	held = append(held, f)
	go func() { unix.Flock(int(f.Fd()), unix.LOCK_EX) }()
	return err
}

func TestLocks(t *testing.T) {
	var names []string
	ids := map[procfs.FileID]string{}
	for _, kind := range []string{"FLOCK", "POSIX", "OFDLCK"} {
		f, err := os.Create(filepath.Join(t.TempDir(), kind))
		must(t, err)
		names, ids[identity(t, f)] = append(names, f.Name()), kind
		must(t, f.Close())
	}
	p := start(t, helper("lock", names...))
	all, err := proc.Locks()
	must(t, err)
	found := checkLocks(t, p, all, ids)
	equal(t, "locks in /proc/locks", found, 3)

	fds, err := p.Descriptors()
	must(t, err)
	found = 0
	for _, d := range fds {
		found += checkLocks(t, p, d.Locks, ids)
	}
	equal(t, "locks in fdinfo", found, 3)
}

// checkLocks counts the locks of helperLock and checks them.
func checkLocks(t *testing.T, p subject, locks []procfs.Lock, ids map[procfs.FileID]string) (found int) {
	t.Helper()
	for _, l := range locks {
		kind := ids[l.File]
		if kind == "" {
			continue
		}
		found++
		want := procfs.Lock{Kind: kind, Access: "WRITE", PID: p.PID(), File: l.File}
		if kind == "OFDLCK" {
			want.Access, want.PID = "READ", -1
		}
		equal(t, "lock", l, want)
	}
	return found
}

func TestWaitingLock(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	defer f.Close()
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	p := start(t, helper("flock", f.Name()))
	for {
		all, err := proc.Locks()
		must(t, err)
		for _, l := range all {
			if l.File == identity(t, f) && l.Waiting {
				equal(t, "PID that waits", l.PID, p.PID())
				return
			}
		}
	}
}

func TestParseLocks(t *testing.T) {
	locks, err := procfs.ParseLocks(strings.NewReader(`1: POSIX  ADVISORY  WRITE 4711 fe:00:9978011 0 EOF
1: -> POSIX  ADVISORY  WRITE 4712 fe:00:9978011 0 EOF
2: LEASE  BREAKING  READ  12 103:0a:5 0 EOF
3: OFDLCK *NOINODE* READ  -1 <none>:0 3 9
`))
	must(t, err)
	equal(t, "locks", len(locks), 4)
	equal(t, "Waiting", locks[1].Waiting, true)
	equal(t, "File", locks[2].File, procfs.FileID{Dev: unix.Mkdev(0x103, 10), Ino: 5})
	equal(t, "File as text", locks[0].File.String(), "fe:00:9978011")
	equal(t, "the last", locks[3], procfs.Lock{Kind: "OFDLCK", Access: "READ", PID: -1})
	for _, text := range []string{
		"\n", "1: FLOCK ADVISORY WRITE 1 fe:00:1 0", "1: ->", "1: FLOCK ADVISORY WRITE x fe:00:1 0 EOF",
		"1: FLOCK ADVISORY WRITE 1 fe00:1 0 EOF", "1: FLOCK ADVISORY WRITE 1 fe:00:x 0 EOF",
	} {
		_, err := procfs.ParseLocks(strings.NewReader(text))
		refused(t, err, "locks", 1)
	}
}
