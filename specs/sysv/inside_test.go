package sysv_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// The suite runs in a child of the process that go test starts: only a new process can have namespaces of its own,
// and a Ginkgo suite runs once in a process whatever -count says. These variables tell the child where it is.
const (
	placeVariable = "SYSV_SPECS_PLACE" // a directory with the programs
	kindVariable  = "SYSV_SPECS_KIND"  // one of the following
)

const (
	twoUsers = "own namespaces with two users"
	oneUser  = "own namespaces with one user"
	shared   = "the system's own namespaces"
)

// otherUser is the second user of a suite that root runs.
const otherUser = 65533

func kind() string { return os.Getenv(kindVariable) }

// private tells whether the suite has namespaces of its own.
func private() bool { return kind() != shared }

func runInside(t *testing.T) {
	place := t.TempDir()
	if err := build(place); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{twoUsers, oneUser, shared} {
		cmd := exec.Command("/proc/self/exe", append(os.Args[1:], "-test.count=1", "-test.v=false", "-test.testlogfile=",
			"-test.coverprofile=", "-test.run=^"+t.Name()+"$", "-ginkgo.no-color")...)
		cmd.Env = append(os.Environ(), placeVariable+"="+place, kindVariable+"="+kind)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = namespaces(kind)
		err := runToItsEnd(cmd)
		if _, ran := errors.AsType[*exec.ExitError](err); err == nil || ran {
			if err != nil {
				t.Fatal("the suite failed, in ", kind, ": ", err)
			}
			return
		}
		fmt.Printf("no %s: %v\n", kind, err)
	}
	t.Fatal("the suite could not be started")
}

// runToItsEnd has the child end with this process, whose thread must therefore stay.
func runToItsEnd(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}

func namespaces(kind string) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if kind == shared {
		return attr
	}
	attr.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWIPC | unix.CLONE_NEWNS
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	if kind == twoUsers {
		other := syscall.SysProcIDMap{ContainerID: otherUser, HostID: otherUser, Size: 1}
		attr.UidMappings = append(attr.UidMappings, other)
		attr.GidMappings = append(attr.GidMappings, other)
		attr.GidMappingsEnableSetgroups = true
	}
	return attr
}

// mountPoint is where the suite's own mqueuefs is mounted.
func mountPoint() string { return filepath.Join(os.Getenv(placeVariable), "mqueue") }

// settle mounts mqueuefs, where nobody else sees it.
func settle() error {
	if !private() {
		return nil
	}
	return errors.Join(
		os.MkdirAll(mountPoint(), 0o755),
		os.NewSyscallError("mount", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")),
		os.NewSyscallError("mount mqueue", unix.Mount("mqueue", mountPoint(), "mqueue", 0, "")),
	)
}

// needPrivate skips a spec that would change what belongs to the system.
func needPrivate() {
	GinkgoHelper()
	if !private() {
		Skip("this system gives no user namespace to this user")
	}
}

// needTwoUsers skips a spec that an ordinary user cannot prove, because he is but one.
func needTwoUsers() {
	GinkgoHelper()
	if kind() != twoUsers {
		Skip("only root can be two users")
	}
}

// setLimit changes a limit of the suite's own IPC namespace, below /proc/sys, for the length of a spec.
func setLimit(name string, value int) {
	GinkgoHelper()
	needPrivate()
	file := "/proc/sys/" + name
	old, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.WriteFile, file, old, os.FileMode(0))
	Expect(os.WriteFile(file, fmt.Append(nil, value), 0)).To(Succeed())
}
