//go:build race

package sysv

import "sync/atomic"

// passed tells the race detector what it cannot see: a message is received after it was sent. The os package does the
// same for its reads and writes.
var passed atomic.Int64

func raceRelease() { passed.Add(1) }
func raceAcquire() { passed.Load() }
