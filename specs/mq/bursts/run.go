package bursts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"daemonlab/lab/mq"
)

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
