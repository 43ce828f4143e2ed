// Package bursts puts a server that lives by notifications under load: processes send bursts of messages through one
// queue at random moments, and a server takes them in one of the orders in which such servers are written. It counts
// how often the server slept while messages lay in the queue, and proves that every message came once and in order.
package bursts

import (
	"fmt"
	"time"
)

// Load is what the senders do.
type Load struct {
	Senders    int           // processes
	Rounds     int           // all senders begin a round together, when all messages of the one before are served
	Bursts     int           // of each sender in a round
	Messages   int           // in a burst
	Jitter     time.Duration // before each message a random time up to this
	Priorities int           // each message has a random one below
	Depth      int           // messages that the queue holds
	Seed       uint64        // of all that is random
}

// Usual is a load that shows the fault of a server that registers too late: several senders, a little jitter.
func Usual(seed uint64) Load {
	return Load{Senders: 4, Rounds: 2000, Bursts: 1, Messages: 4, Jitter: 20 * time.Microsecond, Priorities: 4, Depth: 10,
		Seed: seed}
}

// Result is what came of a load.
type Result struct {
	Rounds        int
	Messages      int // received, each once, in the order of its sender and priority
	Lost          int // wake-ups: the server slept, registered, on a queue with messages, and had to be helped
	Stuck         int // rounds in which that happened
	Notifications int
	Spurious      int // notifications that found no message left
	Took          time.Duration
}

func (r Result) String() string {
	return fmt.Sprintf("%d messages in %v (%.0f a second), each received once and in order; %d notifications, %d of them "+
		"spurious; %d wake-ups lost, in %d of %d rounds", r.Messages, r.Took.Round(time.Millisecond),
		float64(r.Messages)/r.Took.Seconds(), r.Notifications, r.Spurious, r.Lost, r.Stuck, r.Rounds)
}
