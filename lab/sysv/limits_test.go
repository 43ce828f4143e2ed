package sysv_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
)

func TestSystemLimits(t *testing.T) {
	l, err := sysv.SystemLimits()
	must(t, err)
	for name, got := range map[string]int{"msgmax": l.MsgMax, "msgmnb": l.MsgMnb, "msgmni": l.MsgMni} {
		text, err := os.ReadFile("/proc/sys/kernel/" + name)
		must(t, err)
		if want := strings.TrimSpace(string(text)); fmt.Sprint(got) != want {
			t.Errorf("%s is %s, not %d", name, want, got)
		}
	}
}

func TestLimitsAreExplained(t *testing.T) { alone(t, "limits") }

func init() {
	parts["limits"] = func() error {
		if err := errors.Join(limit("msgmax", 100), limit("msgmnb", 300), limit("msgmni", 2)); err != nil {
			return err
		}
		q, err := sysv.Get(sysv.Private, sysv.Create, 0o600)
		if err != nil {
			return err
		}
		_, second := sysv.Get(sysv.Private, sysv.Create, 0o600)
		_, third := sysv.Get(sysv.Private, sysv.Create, 0o600)
		return errors.Join(second,
			says(third, "the system has as many queues as it allows (msgmni 2)", unix.ENOSPC),
			says(q.Send(1, make([]byte, 101), 0), "a message of 101 bytes, the system allows 100 (msgmax)", unix.EINVAL),
			q.Send(1, make([]byte, 100), 0),
			q.Set(sysv.Settings{Mode: 0o600, MaxBytes: 300}),
			says(q.Set(sysv.Settings{Mode: 0o600, MaxBytes: 301}),
				"301 bytes: without CAP_SYS_RESOURCE a queue may have 300 (msgmnb)", unix.EPERM),
			says(q.Set(sysv.Settings{UID: 12345, MaxBytes: 300}),
				"user 12345 or group 0 is none in this user namespace", unix.EINVAL),
		)
	}
}

// limit sets a limit of this IPC namespace.
func limit(name string, value int) error {
	return os.WriteFile("/proc/sys/kernel/"+name, fmt.Append(nil, value), 0)
}
