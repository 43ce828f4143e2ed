package cage

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Cages use IDs above those that other programs hand out: subuid(5) ends at 600,100,000 by default and
// systemd-nspawn(1) at 1,879,048,191.
const (
	firstIdentity = 0x70000000
	rangeSize     = 0x10000 // IDs per cage
	slots         = 0x0fff
	maxCages      = 64 // concurrent
)

// identities maps the users of cages to IDs outside. Root gives each cage its own range, so cages share no per-user
// limit (RLIMIT_NPROC, RLIMIT_MSGQUEUE). Root in a container has one range, all IDs except root, for all cages. An
// ordinary user can only give its own ID.
type identities struct {
	size   int  // of a range
	first  int  // first slot; differs between concurrent graders
	shared bool // all cages share one range, from 1
	free   chan int
}

func newIdentities() identities {
	i := identities{size: 1, shared: true}
	switch {
	case os.Geteuid() != 0:
	case isMapped(firstIdentity):
		i = identities{size: rangeSize, first: os.Getpid() * maxCages}
	default:
		i.size = rangeSize - 1 // nobody is 65534
	}
	i.free = make(chan int, maxCages)
	for n := range maxCages {
		i.free <- n
	}
	return i
}

func (i identities) take(ctx context.Context) (int, error) {
	select {
	case n := <-i.free:
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (i identities) give(n int) { i.free <- n }

// outside returns the ID outside of a cage's first user.
func (i identities) outside(slot int) int {
	if i.size == 1 {
		return os.Getuid()
	}
	if i.shared {
		return 1
	}
	return firstIdentity + (i.first+slot)%slots*rangeSize
}

// isMapped reports whether an ID is mapped in this process's user namespace.
func isMapped(id int) bool {
	content, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return true // if not, clone(2) will fail
	}
	for line := range strings.Lines(string(content)) {
		var inside, outside, size int
		if n, _ := fmt.Sscan(line, &inside, &outside, &size); n == 3 && inside <= id && id-inside < size {
			return true
		}
	}
	return false
}

// inside returns the ID inside of a cage's first user.
func (i identities) inside() int {
	if i.size == 1 {
		return os.Getuid()
	}
	return 0
}

// initCapabilities are what a cage's first process needs over its own namespaces when an ordinary user grades.
var initCapabilities = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_PTRACE, unix.CAP_SYS_RESOURCE, unix.CAP_DAC_OVERRIDE}

func (i identities) attributes(slot int) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Setsid: true, // Ctrl-C is for the grader alone
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWNS | unix.CLONE_NEWNET |
			unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: i.inside(), HostID: i.outside(slot), Size: i.size}},
	}
	if i.size == 1 {
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
		a.AmbientCaps = initCapabilities
		return a
	}
	a.GidMappings = a.UidMappings
	a.GidMappingsEnableSetgroups = true
	a.Credential = &syscall.Credential{Uid: 0, Gid: 0}
	return a
}

// keepCapabilities makes the calling thread keep root's capabilities whatever user it becomes.
func keepCapabilities() error {
	const noSetuidFixup = 1 << 2 // SECBIT_NO_SETUID_FIXUP
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, noSetuidFixup, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_SECUREBITS: %w", err)
	}
	return nil
}

// become switches the calling thread to the cage's first user: message queues are charged to the creator of the user
// namespace too.
func (i identities) become(slot int) error {
	if i.size == 1 {
		return nil
	}
	id := uintptr(i.outside(slot))
	// Package syscall would switch all threads.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); errno != 0 {
		return fmt.Errorf("setresuid %d: %w", id, errno)
	}
	return nil
}
