// Package bursts loads a notification-driven server: processes send bursts of messages through one queue at random
// moments, and the server receives them in one of the orders in which such servers are written. It counts how often
// the server slept on a queue with messages, and checks that every message arrived once and in order.
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
	Rounds     int           // every sender starts a round once all messages of the previous one are received
	Bursts     int           // per sender and round
	Messages   int           // per burst
	Jitter     time.Duration // random delay before each message, at most this
	Priorities int           // random, below this
	Depth      int           // mq_maxmsg
	Seed       uint64        // of all random choices
}

// Usual is a load that exposes a server that registers too late: several senders, a little jitter.
func Usual(seed uint64) Load {
	return Load{Senders: 4, Rounds: 2000, Bursts: 1, Messages: 4, Jitter: 20 * time.Microsecond, Priorities: 4, Depth: 10,
		Seed: seed}
}

// Result is the outcome of a load.
type Result struct {
	Rounds        int
	Messages      int // received, each once and in order
	Lost          int // wake-ups: the server slept on a queue with messages, registered, and had to be woken
	Stuck         int // rounds with a lost wake-up
	Notifications int
	Spurious      int // notifications that found the queue empty
	Took          time.Duration
}

func (r Result) String() string {
	return fmt.Sprintf("%d messages in %v (%.0f a second), each received once and in order; %d notifications, %d of them "+
		"spurious; %d wake-ups lost, in %d of %d rounds", r.Messages, r.Took.Round(time.Millisecond),
		float64(r.Messages)/r.Took.Seconds(), r.Notifications, r.Spurious, r.Lost, r.Stuck, r.Rounds)
}

// Run puts a server that works in the given order under a load. A server asleep on a queue with messages is counted
// and woken, so the run goes on. An error means that a message was lost, duplicated or reordered, which no order
// excuses, that a process failed, or that ctx is done. A program that calls Run must call parts.Play first.
func Run(ctx context.Context, order Order, load Load) (Result, error) {
	s, err := newServer(order, load)
	if err != nil {
		return Result{}, err
	}
	senders, launchErr := launch(s.queue.Name(), load)
	err = mq.Unlink(s.queue.Name()) // unlink now: nothing stays if this process is killed
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

// A round is over when every sender has sent and all messages are received.
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

// help stands in for the notification that a sleeping server has missed.
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
