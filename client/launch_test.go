package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// launch does what a shell cannot do portably, then becomes the program in its arguments.
func launch(msgQueue string) {
	os.Unsetenv(launchEnv)
	err := limitMsgQueue(msgQueue)
	if err == nil {
		err = unix.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "launch:", err)
	os.Exit(99)
}

func limitMsgQueue(bytes string) error {
	limit, err := strconv.ParseUint(bytes, 10, 64)
	if err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Cur: limit, Max: limit})
}

// limited gives the program so many bytes for all queues of its user.
func (c *client) limited(bytes uint64) *client {
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	launcher := exec.Command(self, c.cmd.Args...)
	launcher.Env = append(os.Environ(), launchEnv+"="+strconv.FormatUint(bytes, 10))
	launcher.Stdout, launcher.Stderr = c.cmd.Stdout, c.cmd.Stderr
	c.cmd = launcher
	return c
}
