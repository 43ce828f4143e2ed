package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// changeCredentials changes those of the calling thread, which are the ones that execve looks at.
func (o *orders) changeCredentials() error {
	if o.groups != nil {
		if err := unix.Setgroups(o.groups); err != nil {
			return fmt.Errorf("setgroups %v: %w", o.groups, err)
		}
	}
	if o.ambient != 0 {
		if err := o.raiseAmbient(); err != nil {
			return err
		}
	}
	if o.secure == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, uintptr(o.secure), 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_SECUREBITS %#x: %w", o.secure, err)
	}
	return nil
}

// raiseAmbient makes capabilities outlast the exec of a program that is neither root nor privileged. They have to be
// permitted and inheritable first (capabilities(7)).
func (o *orders) raiseAmbient() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // bits 0 to 31, 32 to 63
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	for i := range data {
		data[i].Inheritable |= uint32(o.ambient >> (32 * i))
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("capset, inheritable %v: %w", o.ambient, err)
	}
	for _, c := range o.ambient.Caps() {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(c), 0, 0); err != nil {
			return fmt.Errorf("prctl PR_CAP_AMBIENT_RAISE %v: %w", o.ambient, err)
		}
	}
	return nil
}
