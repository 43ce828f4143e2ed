package main

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// silenceLimit is how long the server may neither take the request nor send the next response.
const silenceLimit = 10 * time.Second

// state is what watch knows of the transfer that fetch runs in another goroutine.
type state struct {
	size     atomic.Uint64 // as INFO announced, in bytes; 0 before
	received atomic.Uint64 // bytes
	calls    atomic.Uint64 // begins and ends of calls that wait for the server; odd during one, 1 while sending
	messages uint64        // DATA received; fetch's own until it returns
}

// await runs a call that blocks until the server acts.
func (s *state) await(call func()) {
	s.calls.Add(1)
	call()
	s.calls.Add(1)
}

// watch runs fetch and returns how it ends: by itself, by a signal, or because the server has been silent too long. In
// the latter cases fetch may hang in a system call for the rest of the process.
//
// mq_timedsend(2) and mq_timedreceive(2) take an absolute CLOCK_REALTIME deadline, and that clock may be set while
// they sleep. So fetch waits without one and watch counts ticks. A stopped process (Ctrl-Z) has no ticks, and cannot
// hear the server either.
func watch(o options, left *leftovers, s *state, signals <-chan os.Signal) error {
	bar, period := newProgress(s), time.Second
	if bar.visible {
		period = barPeriod
	}
	defer bar.erase()
	done := make(chan error, 2)
	go func() { done <- fetch(o, left, s) }()
	go obey(signals, left, done)
	ticks := time.NewTicker(period)
	defer ticks.Stop()
	silence, call := time.Duration(0), uint64(0)
	for {
		select {
		case err := <-done:
			return err
		case <-ticks.C:
			bar.draw()
			silence += period
			if now := s.calls.Load(); now%2 == 0 || now != call {
				silence, call = 0, now
			}
			if silence >= silenceLimit {
				return silent(o.queue, call)
			}
		}
	}
}

// obey ends the program when a signal arrives. The other goroutines have a second to erase the bar and return: they
// may hang in a write to a stderr, terminal or pipe, that takes nothing, also after fetch has returned.
func obey(signals <-chan os.Signal, left *leftovers, done chan<- error) {
	err := &exitError{status: statusSignal + int((<-signals).(syscall.Signal))}
	left.removeForGood()
	done <- err
	time.Sleep(time.Second)
	os.Exit(err.status)
}

func silent(queue string, call uint64) error {
	if call == 1 {
		return noServer("queue %s of the server has been full for %v", queue, silenceLimit)
	}
	return noServer("nothing from the server at queue %s for %v", queue, silenceLimit)
}
