package mq_test

import (
	"go/build"
	"testing"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

// On other systems the compiler must report that the package is for Linux, not undefined names.
func TestEveryFileIsForLinux(t *testing.T) {
	other := build.Default
	other.GOOS = "darwin"
	if p, err := other.ImportDir(".", 0); len(p.GoFiles) > 0 {
		t.Errorf("other systems have %v to compile (%v)", p.GoFiles, err)
	}
}

// duplicate returns a descriptor of the same open file description, as a child or the far end of a socket gets it.
func duplicate(t testing.TB, b *mq.Blocking) (fd int) {
	t.Helper()
	must(t, b.Control(func(own uintptr) {
		var err error
		fd, err = unix.FcntlInt(own, unix.F_DUPFD, 3) // without close-on-exec
		must(t, err)
	}))
	return fd
}

func TestInheritTakesADescriptor(t *testing.T) {
	b := newBlocking(t, newQueue(t, 1, 16))
	q, err := mq.Inherit(duplicate(t, b), b.Name())
	must(t, err)
	if a, err := b.Attr(); err != nil || !a.NonBlock {
		t.Fatalf("%+v, %v", a, err)
	}
	must(t, q.Control(func(fd uintptr) {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
			t.Errorf("flags %#x, %v", flags, err)
		}
	}))
	_, err = b.SetAttr(mq.Attr{}) // anybody who shares the open file description may do so
	must(t, err)
	wantError(t, err2(q.TryReceive(make([]byte, 16))), unix.EAGAIN)
	must(t, q.Send(t.Context(), []byte("x"), 0), q.Close())

	again, err := mq.InheritBlocking(duplicate(t, b), b.Name())
	must(t, err, err2(again.Receive(make([]byte, 16))), again.Close())
}

func TestInheritRejectsOtherDescriptors(t *testing.T) {
	var pipe [2]int
	must(t, unix.Pipe(pipe[:]))
	for _, fd := range pipe {
		_, err := mq.Inherit(fd, "/pipe")
		wantError(t, err, unix.EBADF)
		if want := "queue /pipe: inherit: not the descriptor of a queue"; err.Error() != want {
			t.Errorf("%q is not %q", err, want)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags != 0 {
			t.Errorf("it was touched: flags %#x, %v", flags, err)
		}
		must(t, unix.Close(fd))
	}
	_, err := mq.InheritBlocking(-1, "/none")
	wantError(t, err, unix.EBADF)
}
