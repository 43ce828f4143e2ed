package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// launch does what a shell cannot do portably, then becomes the program in its arguments.
func launch(order string) {
	os.Unsetenv(launchEnv)
	err := obey(order)
	if err == nil {
		err = unix.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "launch:", err)
	os.Exit(99)
}

const (
	msgQueue = "msgqueue="
	noMounts = "no mounts"
)

func obey(order string) error {
	if order == noMounts {
		return unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_ADMIN, 0, 0, 0)
	}
	limit, err := strconv.ParseUint(strings.TrimPrefix(order, msgQueue), 10, 64)
	if err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Cur: limit, Max: limit})
}

// limited gives the program so many bytes for all queues of its user.
func (c *client) limited(bytes uint64) *client {
	return c.launched(msgQueue + strconv.FormatUint(bytes, 10))
}

// unprivileged takes from the program, started by root, the right to mount.
func (c *client) unprivileged() *client { return c.launched(noMounts) }

func (c *client) launched(order string) *client {
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	launcher := exec.Command(self, c.cmd.Args...)
	launcher.Env = append(os.Environ(), launchEnv+"="+order)
	launcher.Stdout, launcher.Stderr = c.cmd.Stdout, c.cmd.Stderr
	c.cmd = launcher
	return c
}
