//go:build linux

package mq_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

func TestOpenGivesTheShapeAskedFor(t *testing.T) {
	q := newQueue(t, 3, 100)
	a, err := q.Attr()
	must(t, err)
	if want := (mq.Attr{MaxMsg: 3, MsgSize: 100, NonBlock: true}); a != want {
		t.Fatalf("got %+v, want %+v", a, want)
	}
}

func TestOpenWithoutAttributesTakesTheSystems(t *testing.T) {
	alone(t, "open with the system's attributes") // where its cost meets nobody's limit
}

func init() {
	parts["open with the system's attributes"] = func([]string) error {
		l, err := mq.SystemLimits()
		if err != nil {
			return err
		}
		q, err := create("/default", nil)
		if err != nil {
			return err
		}
		defer q.Close()
		a, err := q.Attr()
		if err == nil && (a.MaxMsg != min(l.MsgMax, l.MsgDefault) || a.MsgSize != min(l.MsgSizeMax, l.MsgSizeDefault)) {
			err = fmt.Errorf("got %+v, with limits %+v", a, l)
		}
		return err
	}
}

func TestOpenOfTheSameNameIsTheSameQueue(t *testing.T) {
	q := newQueue(t, 1, 16)
	again, err := mq.Open(q.Name(), os.O_RDWR|os.O_CREATE, 0o600, &mq.Attr{MaxMsg: -1, MsgSize: -1}) // not looked at
	must(t, err)
	defer again.Close()
	must(t, again.TrySend([]byte("hello"), 0))
	n, _, err := q.TryReceive(make([]byte, 16))
	if err != nil || n != 5 {
		t.Fatalf("got %d bytes, %v", n, err)
	}
}

func TestOpenErrors(t *testing.T) {
	there := newQueue(t, 1, 16).Name()
	missing := newName()
	for _, c := range []struct {
		name  string
		flags int
		attr  *mq.Attr
		want  error
		text  string
	}{
		{missing, os.O_RDWR, nil, os.ErrNotExist, "open: no such queue"},
		{there, os.O_RDWR | os.O_CREATE | os.O_EXCL, nil, os.ErrExist, "exists already"},
		{there, os.O_RDWR | os.O_WRONLY, nil, unix.EINVAL, "invalid argument"},
		{missing, os.O_RDWR | os.O_CREATE, &mq.Attr{MaxMsg: 0, MsgSize: 1}, unix.EINVAL, "must be positive"},
		{missing, os.O_RDWR | os.O_CREATE, &mq.Attr{MaxMsg: 1, MsgSize: -1}, unix.EINVAL, "must be positive"},
		{missing, os.O_RDWR | os.O_CREATE, &mq.Attr{MaxMsg: 1 << 20, MsgSize: 1}, unix.EINVAL, "the system allows"},
		{"name", os.O_RDWR, nil, unix.EINVAL, "begins with a slash"},
		{"", os.O_RDWR, nil, unix.EINVAL, `queue "": open`},
		{"/a\x00b", os.O_RDWR, nil, unix.EINVAL, `queue "/a\x00b": open`},
		{"/", os.O_RDWR, nil, os.ErrNotExist, "ends after the slash"},
		{"/a/b", os.O_RDWR, nil, os.ErrPermission, "one slash"},
		{"//a", os.O_RDWR, nil, unix.EACCES, "one slash"},
		{"/..", os.O_RDWR, nil, unix.EACCES, "not /. or /.."},
		{"/" + strings.Repeat("x", 256), os.O_RDWR, nil, unix.ENAMETOOLONG, "at most 255 bytes"},
	} {
		t.Run(c.text, func(t *testing.T) {
			q, err := mq.Open(c.name, c.flags, 0o600, c.attr)
			if err == nil {
				q.Close()
				mq.Unlink(c.name)
			}
			wantError(t, err, c.want)
			if !strings.Contains(err.Error(), c.text) {
				t.Fatalf("%q does not say %q", err, c.text)
			}
		})
	}
}

func TestNamesOf255BytesAndAnyByte(t *testing.T) {
	for _, name := range []string{
		newName() + " \n\t\xff",
		(newName() + strings.Repeat("x", 255))[:256],
	} {
		must(t, mq.CheckName(name))
		q, err := create(name, &mq.Attr{MaxMsg: 1, MsgSize: 1})
		must(t, err, mq.Unlink(name), q.Close())
	}
}

func TestDescriptorIsCloseOnExec(t *testing.T) {
	q := newQueue(t, 1, 16)
	b := newBlocking(t, q)
	for _, control := range []func(func(uintptr)) error{q.Control, b.Control} {
		must(t, control(func(fd uintptr) {
			if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("flags %#x, %v", flags, err)
			}
		}))
	}
}

func TestChmodAndOwner(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, q.Chmod(0o622))
	must(t, q.Control(func(fd uintptr) {
		var st unix.Stat_t
		must(t, unix.Fstat(int(fd), &st))
		if mode := st.Mode & 0o7777; mode != 0o622 {
			t.Errorf("mode %o", mode)
		}
	}))
	uid, gid, err := q.Owner()
	if err != nil || uid != os.Geteuid() || gid != os.Getegid() {
		t.Fatalf("owner %d:%d, %v", uid, gid, err)
	}
}

func TestUnlink(t *testing.T) {
	q := newQueue(t, 1, 16)
	must(t, mq.Unlink(q.Name()))
	wantError(t, mq.Unlink(q.Name()), os.ErrNotExist)
	wantError(t, mq.Unlink("name"), unix.EINVAL)
	wantError(t, mq.Unlink("/a/b"), unix.EACCES)

	must(t, q.TrySend([]byte("still here"), 0)) // who has it open keeps it
	n, _, err := q.TryReceive(make([]byte, 16))
	if err != nil || n != 10 {
		t.Fatalf("got %d bytes, %v", n, err)
	}
}

func TestAnotherUsersQueue(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be two users")
	}
	q := newQueue(t, 1, 16)
	must(t, q.Chmod(0o622))
	cmd := actor("be another user", q.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	perform(t, cmd)
}

func init() {
	parts["be another user"] = func(args []string) error {
		q, err := mq.Open(args[0], os.O_WRONLY, 0, nil)
		if err != nil {
			return fmt.Errorf("for sending: %w", err)
		}
		defer q.Close()
		if _, err := mq.Open(args[0], os.O_RDONLY, 0, nil); !isErrno(err, unix.EACCES) {
			return fmt.Errorf("for receiving: %w", err)
		}
		if err := mq.Unlink(args[0]); !isErrno(err, unix.EACCES) || !strings.Contains(err.Error(), "another user") {
			return fmt.Errorf("unlink: %w", err)
		}
		return nil
	}
}
