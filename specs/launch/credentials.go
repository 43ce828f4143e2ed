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
	if !o.noFixup {
		return nil
	}
	const noSetuidFixup = 1 << 2 // SECBIT_NO_SETUID_FIXUP of securebits.h
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, noSetuidFixup, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_SECUREBITS: %w", err)
	}
	return nil
}
