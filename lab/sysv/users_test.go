package sysv_test

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// as runs a part on a queue as the user, who is not root.
func as(t *testing.T, part string, id, uid int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", partVariable+"="+part, fmt.Sprint("SYSV_TEST_QUEUE=", id))
	if uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", part, err, out)
	}
}

// ordinary is a user without privileges: this one if he is.
func ordinary() int {
	if uid := os.Getuid(); uid != 0 {
		return uid
	}
	return 65534
}

func TestPermissionIsAskedForAtEveryCall(t *testing.T) {
	q := newQueue(t)
	s, err := q.Status()
	must(t, err)
	settings := s.Settings()
	settings.UID, settings.Mode = uint32(ordinary()), 0 // not even for the owner
	must(t, q.Set(settings))
	as(t, "unprivileged", q.ID(), ordinary())
}

func TestAnotherUsersQueue(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can act as another user")
	}
	as(t, "stranger", newQueue(t).ID(), ordinary())
}
