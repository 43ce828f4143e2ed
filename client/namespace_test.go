package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespaces makes a test run itself again where its queues are counted anew: in a user namespace, which has limits
// of its own, and an IPC namespace, which has queues of its own. It reports whether this is that run.
// The queues count against the limit of the user outside as well, which is the one that the namespace's maker had when
// it made it: root can raise that.
func inNamespaces(t *testing.T) bool {
	if os.Getenv(binaryEnv) != "" {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inner := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	inner.Env = append(os.Environ(), binaryEnv+"="+mqfile)
	inner.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWIPC,
		UidMappings: mappings(os.Getuid()), GidMappings: mappings(os.Getgid()),
	}
	report, err := startUnlimited(inner)
	if inner.Process == nil {
		t.Skipf("no user and IPC namespaces for this user here: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, report)
	}
	return false
}

var limits sync.Mutex

// startUnlimited runs a command that has, if this user may, no limit of queues.
func startUnlimited(cmd *exec.Cmd) (output []byte, err error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	limits.Lock()
	var old unix.Rlimit
	all := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	raised := unix.Prlimit(0, unix.RLIMIT_MSGQUEUE, &all, &old) == nil
	err = cmd.Start()
	if raised {
		unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &old)
	}
	limits.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	return out.Bytes(), err
}

// mappings has all IDs for root, who alone may have more than one.
func mappings(id int) []syscall.SysProcIDMap {
	if id == 0 {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	}
	return []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
}

// limitQueues sets how many bytes all queues of this user may cost.
func limitQueues(t *testing.T, bytes uint64) {
	t.Helper()
	var old unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &old)
	if err == nil {
		err = unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Cur: bytes, Max: old.Max})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &old) })
}
