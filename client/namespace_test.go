package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespaces makes a test run itself again where its queues are counted anew: in a user namespace, which has limits
// of its own, an IPC namespace, which has queues of its own, and a mount namespace. It tells whether this is that run.
// The queues count against the limit of the user outside as well.
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
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWIPC | unix.CLONE_NEWNS,
		UidMappings: mappings(os.Getuid()), GidMappings: mappings(os.Getgid()),
	}
	report, err := inner.CombinedOutput()
	if inner.Process == nil {
		t.Skipf("no user, IPC and mount namespaces for this user here: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, report)
	}
	return false
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

// mountQueues mounts the queues' file system where it is looked for, in a /dev of this namespace's own.
func mountQueues(t *testing.T) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, step := range []func() error{
		func() error { return unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount("none", "/dev", "tmpfs", 0, "") },
		func() error { return os.WriteFile(os.DevNull, nil, 0o600) },
		func() error {
			return unix.Mount(fmt.Sprintf("/proc/self/fd/%d", null.Fd()), os.DevNull, "", unix.MS_BIND, "")
		},
		func() error { return os.Mkdir("/dev/mqueue", 0o755) },
		func() error { return unix.Mount("none", "/dev/mqueue", "mqueue", 0, "") },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { unix.Unmount("/dev", unix.MNT_DETACH) })
}
