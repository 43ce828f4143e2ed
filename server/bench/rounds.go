package main

import (
	"context"
	"fmt"
	"os"
)

// rounds does everything so many times. Contestants take turns load by load, and begin in turns.
func (b *bench) rounds(ctx context.Context, rounds int) error {
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		for _, step := range []func(context.Context, int) error{b.works, b.burdens, b.sweeps, b.sysv} {
			if err := step(ctx, round); err != nil {
				return err
			}
		}
	}
	return nil
}

// inTurn calls f for all contestants, beginning with another one each round.
func inTurn(ctx context.Context, round int, f func(contestant) error) error {
	for i := range contestants {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(contestants[(round+i)%len(contestants)]); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) works(ctx context.Context, round int) error {
	for _, w := range works(b.quick) {
		err := inTurn(ctx, round, func(c contestant) error {
			o, err := b.run(ctx, c, w.load)
			if err != nil {
				return err
			}
			for _, r := range w.figures {
				b.report.figure(r.name, r.unit, r.better).add(c.name, r.of(o))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return b.starts(ctx, round)
}

// starts starts and ends servers, some more often than once a round, since that is quick.
func (b *bench) starts(ctx context.Context, round int) error {
	const times = 5
	for range times {
		err := inTurn(ctx, round, func(c contestant) error {
			if c.name == raw {
				return nil
			}
			s, err := b.start(c, 1)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			b.report.figure("start to ready", "ms", "lower").add(c.name, s.start*1e3)
			return s.end()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) burdens(ctx context.Context, round int) error {
	return inTurn(ctx, round, func(c contestant) error {
		if c.name == raw {
			return nil
		}
		found, err := b.burdenOf(ctx, c)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%d slow transfers, server's ", slowTransfers)
		b.report.figure("idle, server's memory", "MiB", "lower").add(c.name, found.idle)
		b.report.figure(what+"memory", "MiB", "lower").add(c.name, found.memory)
		b.report.figure(what+"threads", "threads", "lower").add(c.name, found.threads)
		if c.name == ours {
			name := fmt.Sprintf("then %d clients of the same user, all served", crowdSize(b.quick))
			b.report.figure(name, "s", "lower").add(c.name, found.crowd)
		}
		return nil
	})
}

func (b *bench) sweeps(ctx context.Context, round int) error {
	for _, l := range sweepClients(b.quick) {
		err := inTurn(ctx, round, func(c contestant) error {
			o, err := b.run(ctx, c, l)
			if err == nil {
				b.report.latency(l.clients, "p50").add(c.name, o.p50)
				b.report.latency(l.clients, "p99").add(c.name, o.p99)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, l := range sweepShapes(b.quick) {
		err := inTurn(ctx, round, func(c contestant) error {
			o, err := b.run(ctx, c, l)
			if err == nil {
				b.report.throughput(l.shape).add(c.name, o.gbPerSecond())
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
