// Package bursts puts a server that lives by notifications under load: processes send bursts of messages through one
// queue at random moments, and a server takes them in one of the orders in which such servers are written. It counts
// how often the server slept while messages lay in the queue, and proves that every message came once and in order.
package bursts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"daemonlab/lab/mq"
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

// Run has a server that works in the given order take a load. A server that sleeps on a queue with messages is counted
// and helped, so that the run goes on. An error says that a message was lost, doubled or out of order, which no order
// may do, that a process failed, or that the context ended. A program that calls Run calls parts.Play before.
func Run(ctx context.Context, order Order, load Load) (Result, error) {
	s, err := newServer(order, load)
	if err != nil {
		return Result{}, err
	}
	senders, launchErr := launch(s.queue.Name(), load)
	err = mq.Unlink(s.queue.Name()) // so that nothing stays if this process is killed
	if launchErr != nil {
		return Result{}, errors.Join(launchErr, err, s.queue.Close())
	}
	begin, r := time.Now(), Result{}
	for err == nil && r.Rounds < load.Rounds {
		err = s.round(ctx, senders, load, &r)
	}
	r.Took = time.Since(begin)
	r.Messages, r.Notifications, r.Spurious = s.received(), int(s.handled.Load()), int(s.spurious.Load())
	if err != nil {
		senders.kill() // a sender may sleep on a full queue
	}
	err = errors.Join(err, senders.dismiss(), s.queue.Close())
	if err != nil {
		err = fmt.Errorf("%s, seed %d, round %d: %w", order.Name, load.Seed, r.Rounds, err)
	}
	return r, err
}

// round is over when all senders have sent and all their messages are received.
func (s *server) round(ctx context.Context, senders *processes, load Load, r *Result) error {
	wanted, lost := (r.Rounds+1)*load.Senders*load.Bursts*load.Messages, r.Lost
	if err := senders.begin(); err != nil {
		return err
	}
	for sending := load.Senders; sending > 0 || s.received() < wanted; {
		select {
		case err := <-senders.done:
			if err != nil {
				return fmt.Errorf("a sender has ended: %w", err)
			}
			sending--
		case <-s.events:
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d messages received, %d senders at work", ctx.Err(), s.received(), wanted, sending)
		}
		if err := s.help(r); err != nil {
			return err
		}
	}
	r.Rounds++
	if r.Lost > lost {
		r.Stuck++
	}
	return s.failed()
}

// help does for a server that sleeps what a notification would have done.
func (s *server) help(r *Result) error {
	if err := s.failed(); err != nil {
		return err
	}
	asleep, err := s.asleep()
	if err != nil || !asleep {
		return err
	}
	r.Lost++
	return s.drain()
}
