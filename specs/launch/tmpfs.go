package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"daemonlab/lab/tool"
)

// keep mounts a tmpfs in a mount namespace of its own, runs the program there as a child, usually a second launcher
// with the orders for the setting, and unmounts the tmpfs as soon as that child has ended. It reports "unmounted\n" or
// the error, and returns the child's exit status, or 128 and the number of the signal that ended it.
//
// Mounting takes CAP_SYS_ADMIN. An ordinary user has it when the suite starts the launcher in a new user namespace with
// the capability ambient; the child does not inherit it.
func (o *orders) keep() (int, error) {
	if err := mountOwn(o.tmpfs); err != nil {
		return 0, err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("prctl PR_CAP_AMBIENT_CLEAR_ALL: %w", err)
	}
	if o.report >= 0 {
		unix.CloseOnExec(o.report)
	}
	cmd := exec.Command(o.program, o.args[1:]...)
	cmd.Args, cmd.Env = o.args, o.env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	var ended *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &ended) {
		return 0, err
	}
	return tool.ExitStatus(cmd.ProcessState), o.unmount()
}

// mountOwn changes the mount namespace of the calling thread only, from which the child is then forked.
func mountOwn(dir string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount / private: %w", err)
	}
	if err := unix.Mount("launch", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", dir, err)
	}
	return nil
}

// unmount says in the report whether the tmpfs was still in use. An error is one of the report itself.
func (o *orders) unmount() error {
	result := "unmounted\n"
	if err := unix.Unmount(o.tmpfs, 0); err != nil {
		result = fmt.Sprintf("umount %s: %v\n", o.tmpfs, err)
	}
	if o.report < 0 {
		return nil
	}
	_, err := syscall.Write(o.report, []byte(result))
	return err
}
