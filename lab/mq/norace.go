//go:build linux && !race

package mq

func raceRelease() {}
func raceAcquire() {}
