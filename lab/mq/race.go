//go:build linux && race

package mq

import "sync/atomic"

// passed tells the race detector about orderings it cannot see: a message is received after it was sent, and a handler
// runs after the message that it announces. Package os does the same for its reads and writes.
var passed atomic.Int64

func raceRelease() { passed.Add(1) }
func raceAcquire() { passed.Load() }
