package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespaces reruns a test where its queues are counted afresh: in a user namespace, which has its own limits, and
// an IPC namespace, which has its own queues. It reports whether this is that run. The queues count against the limit
// of the user outside as well.
func inNamespaces(t *testing.T) bool {
	if os.Getenv(binaryEnv) != "" {
		return true
	}
	self, err := os.Executable()
	must(t, err)
	inner := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	inner.Env = append(os.Environ(), binaryEnv+"="+mqfile)
	inner.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: unix.CLONE_NEWUSER | unix.CLONE_NEWIPC,
		UidMappings:  []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings:  []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	report, err := inner.CombinedOutput()
	if inner.Process == nil {
		t.Skipf("no user and IPC namespaces for this user here: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, report)
	} else if bytes.Contains(report, []byte("--- SKIP: "+t.Name())) {
		t.Skipf("%s", report)
	}
	return false
}

// limitQueues sets RLIMIT_MSGQUEUE, in bytes.
func limitQueues(t *testing.T, bytes uint64) {
	t.Helper()
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &old))
	must(t, unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Cur: bytes, Max: old.Max}))
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &old) })
}
