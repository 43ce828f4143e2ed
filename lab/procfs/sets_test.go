package procfs

import (
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSignalSetString(t *testing.T) {
	for want, set := range map[string]SignalSet{
		"0000000000000000 (none)":    0,
		"0000000000010000 (SIGCHLD)": NewSignalSet(syscall.SIGCHLD),
		"8000000600004001 (SIGHUP, SIGTERM, SIGRTMIN, SIGRTMIN+1, SIGRTMAX)": NewSignalSet(1, 15, 34, 35, 64),
		"fffffffe7ffbfeff (all but SIGKILL, SIGSTOP, signal 32, signal 33)":  0xfffffffe7ffbfeff,
		"ffffffffffffffff (all)": ^SignalSet(0),
	} {
		equal(t, "String", set.String(), want)
	}
}

func TestSignalSetMembers(t *testing.T) {
	sigs := []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM, 32, 64}
	set := NewSignalSet(sigs...)
	equal(t, "Signals", slices.Equal(set.Signals(), sigs), true)
	for _, none := range []syscall.Signal{-1, 0, 2, 33, 65} {
		equal(t, "Has", set.Has(none), false)
	}
}

func TestSignalNames(t *testing.T) {
	for n := syscall.Signal(1); n <= 64; n++ {
		back, err := ParseSignal(SignalName(n))
		must(t, err)
		equal(t, SignalName(n), back, n)
	}
	if _, err := ParseSignal("TERM"); err == nil {
		t.Error("TERM is a signal's name")
	}
}

func TestCapSet(t *testing.T) {
	for want, set := range map[string]CapSet{
		"0000000000000000 (none)":                            0,
		"000001fffeffffff (all but CAP_SYS_RESOURCE)":        0x1fffeffffff,
		"000001ffffffffff (all)":                             0x1ffffffffff,
		"0000000000000401 (CAP_CHOWN, CAP_NET_BIND_SERVICE)": NewCapSet(unix.CAP_CHOWN, 10),
		"0000020000000000 (capability 41)":                   1 << 41,
	} {
		equal(t, "String", set.String(), want)
	}
	equal(t, "the last name", capNames[unix.CAP_LAST_CAP], "CAP_CHECKPOINT_RESTORE")
}

func TestOpenFlags(t *testing.T) {
	for want, flags := range map[string]OpenFlags{
		"O_RDONLY":                      0,
		"O_RDWR|O_CLOEXEC":              unix.O_RDWR | unix.O_CLOEXEC,
		"O_WRONLY|O_APPEND|O_NONBLOCK":  unix.O_WRONLY | unix.O_APPEND | unix.O_NONBLOCK,
		"O_RDWR|O_TMPFILE":              unix.O_RDWR | unix.O_TMPFILE,
		"O_WRONLY|O_SYNC":               unix.O_WRONLY | unix.O_SYNC,
		"O_WRONLY|O_DSYNC":              unix.O_WRONLY | unix.O_DSYNC,
		"O_RDONLY|O_DIRECTORY|O_PATH":   unix.O_PATH | unix.O_DIRECTORY,
		"O_RDONLY|O_CLOEXEC|0400000000": unix.O_CLOEXEC | 0o400000000,
	} {
		equal(t, "String", flags.String(), want)
	}
}
