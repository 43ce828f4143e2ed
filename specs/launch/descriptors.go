package main

import (
	"fmt"
	"math"
	"slices"

	"golang.org/x/sys/unix"
)

// plant moves the given descriptors to their numbers. Any of these may be in use, by another given one or by the Go
// runtime, so all are first copied out of the way. Everything else above 2 closes at exec: the numbers that the
// launcher was given, what the suite may have leaked to it, and the copies.
func (o *orders) plant() error {
	failures, err := o.copyAbove(o.failures)
	if err != nil {
		return err
	}
	o.failures = failures
	copies := make([]int, len(o.planted))
	for i, p := range o.planted {
		fd, err := o.copyAbove(p.from)
		if err != nil {
			return err
		}
		copies[i] = fd
	}
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	for i, p := range o.planted {
		if err := unix.Dup3(copies[i], p.to, 0); err != nil {
			return fmt.Errorf("dup3 %d to %d: %w", p.from, p.to, err)
		}
	}
	return nil
}

// copyAbove duplicates fd, closing at exec, at a number that no planting uses.
func (o *orders) copyAbove(fd int) (int, error) {
	for above := 3; ; {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, above)
		if err != nil {
			return -1, fmt.Errorf("fcntl F_DUPFD_CLOEXEC of %d: %w", fd, err)
		}
		if !o.planned(dup) {
			return dup, nil
		}
		unix.Close(dup)
		above = dup + 1
	}
}

func (o *orders) planned(fd int) bool {
	return slices.ContainsFunc(o.planted, func(p planting) bool { return p.to == fd })
}
