//go:build !race

package sysv

func raceRelease() {}
func raceAcquire() {}
