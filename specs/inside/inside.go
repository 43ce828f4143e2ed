// Package inside runs a Ginkgo suite about the kernel in user, IPC and mount namespaces of its own, where the system
// gives them. There a spec may change limits, mqueuefs is mounted, and no queue of others is met. The bytes of POSIX
// queues still count for their user.
package inside

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// The suite runs in a child of the process that go test starts: only a new process can have namespaces of its own,
// and a Ginkgo suite runs once in a process whatever -count says. These variables tell the child where it is.
const (
	placeVariable = "INSIDE_PLACE" // a directory to use
	kindVariable  = "INSIDE_KIND"  // one of the following
)

const (
	twoUsers = "own namespaces with two users"
	oneUser  = "own namespaces with one user"
	shared   = "the system's own namespaces"
)

// OtherUser is the second user of a suite that root runs.
const OtherUser = 65533

// Patience bounds a wait for what must happen. It costs a spec that passes nothing, and is more than the slowest machine
// needs.
const Patience = 2 * time.Minute

// The main thread is the test's. No other goroutine comes there, so every other one can end with its thread.
func init() { runtime.LockOSThread() }

// Run runs the suite. Before, prepare puts into the suite's place what it needs.
func Run(t *testing.T, title string, prepare func(place string) error) {
	if Place() == "" {
		place := t.TempDir()
		if err := prepare(place); err != nil {
			t.Fatal(err)
		}
		runInside(t, place)
		return
	}
	if err := settle(); err != nil {
		t.Fatal(err)
	}
	gomega.SetDefaultEventuallyTimeout(Patience)
	gomega.SetDefaultEventuallyPollingInterval(time.Millisecond)
	gomega.RegisterFailHandler(ginkgo.Fail)
	ginkgo.RunSpecs(t, title)
}

func runInside(t *testing.T, place string) {
	for _, kind := range []string{twoUsers, oneUser, shared} {
		cmd := exec.Command("/proc/self/exe", append(os.Args[1:], "-test.count=1", "-test.v=false", "-test.testlogfile=",
			"-test.coverprofile=", "-test.run=^"+t.Name()+"$", "-ginkgo.no-color")...)
		cmd.Env = append(os.Environ(), placeVariable+"="+place, kindVariable+"="+kind)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = namespaces(kind)
		err := runToItsEnd(cmd)
		if _, ran := errors.AsType[*exec.ExitError](err); err == nil || ran {
			if err != nil {
				t.Fatalf("the suite failed, in %s: %v", kind, err)
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
		other := syscall.SysProcIDMap{ContainerID: OtherUser, HostID: OtherUser, Size: 1}
		attr.UidMappings = append(attr.UidMappings, other)
		attr.GidMappings = append(attr.GidMappings, other)
		attr.GidMappingsEnableSetgroups = true
	}
	return attr
}

// mountPoint is where mqueuefs is mounted, empty if it is nowhere.
var mountPoint string

// settle makes the place ready.
func settle() error {
	if !Private() {
		mountPoint = mounted()
		return nil
	}
	mountPoint = filepath.Join(Place(), "mqueue")
	return errors.Join(
		os.MkdirAll(mountPoint, 0o755),
		os.NewSyscallError("mount", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")),
		os.NewSyscallError("mount mqueue", unix.Mount("mqueue", mountPoint, "mqueue", 0, "")),
	)
}

// mounted looks for a mount of mqueuefs; see proc_pid_mountinfo(5).
func mounted() string {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		left, right, _ := strings.Cut(lines.Text(), " - ")
		if strings.HasPrefix(right, "mqueue ") {
			return strings.Fields(left)[4]
		}
	}
	return ""
}

// Place is the suite's directory.
func Place() string { return os.Getenv(placeVariable) }

// QueueFile is the path of a POSIX queue in mqueuefs.
func QueueFile(name string) string {
	ginkgo.GinkgoHelper()
	if mountPoint == "" {
		ginkgo.Skip("mqueuefs is mounted nowhere, and this system gives no namespace to mount it in")
	}
	return mountPoint + name
}

// Private reports whether the suite has namespaces of its own.
func Private() bool { return os.Getenv(kindVariable) != shared }

// NeedPrivate skips a spec that would change what belongs to the system.
func NeedPrivate() {
	ginkgo.GinkgoHelper()
	if !Private() {
		ginkgo.Skip("this system gives no user namespace to this user")
	}
}

// NeedTwoUsers skips a spec that an ordinary user cannot prove, because he is but one.
func NeedTwoUsers() {
	ginkgo.GinkgoHelper()
	if os.Getenv(kindVariable) != twoUsers {
		ginkgo.Skip("only root can be two users")
	}
}

// SetLimit changes a limit of the suite's own IPC namespace, a file of /proc/sys, for the length of a spec.
func SetLimit(name, value string) error {
	ginkgo.GinkgoHelper()
	NeedPrivate()
	file := "/proc/sys/" + name
	old, err := os.ReadFile(file)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(os.WriteFile, file, old, os.FileMode(0))
	err = os.WriteFile(file, []byte(value), 0)
	if errors.Is(err, unix.EACCES) {
		ginkgo.Skip("before Linux 5.19 only root may change limits, in a namespace of its own, too")
	}
	return err
}
