// Command lost shows how many notifications a server loses, depending on the order of its steps.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"daemonlab/lab/parts"
	"daemonlab/lab/tool"
	"daemonlab/specs/harness"
	"daemonlab/specs/mq/bursts"
)

const usage = `usage: scripts/demo notify [--rounds N] [--seed N] [--million]

Sends bursts of messages to servers that register and drain in different orders,
and counts the bursts that get stuck.

  --rounds N   bursts, from all senders together (default 2000)
  --seed N     seed of the random numbers (default: a new one)
  --million    send 1,000,000 messages to a server that registers, then drains
  --help       this text
`

func main() {
	parts.Play()
	f := flag.NewFlagSet("demo notify", flag.ContinueOnError)
	seed := f.Uint64("seed", uint64(rand.Uint32()), "")
	rounds := f.Int("rounds", 2000, "")
	million := f.Bool("million", false, "")
	err := tool.Parse(f, os.Args[1:], usage, func() error {
		if f.NArg() > 0 || *rounds < 1 {
			return errors.New("--rounds must be at least 1, and there are no other arguments")
		}
		return nil
	})
	if err != nil {
		os.Exit(tool.UsageStatus(err))
	}
	if *million {
		err = sendMillion(*seed)
	} else {
		err = compare(*seed, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo notify:", err)
		os.Exit(1)
	}
}

const explanation = "Stuck: a message came between drain and mq_notify, and a registration on a queue with messages is silent."

// compare measures the orders one after another under the same load.
func compare(seed uint64, rounds int) error {
	load := bursts.Usual(seed)
	load.Rounds = rounds
	fmt.Printf("%d bursts; in each, every sender sends %d messages, with random pauses of up to %v. Seed %d.\n\n",
		load.Rounds, load.Messages, load.Jitter, seed)
	fmt.Printf("%-29s %7s  %12s  %7s  %8s\n", "when notified, the server:", "senders", "bursts stuck", "rate", "spurious")
	for _, c := range []struct {
		order   bursts.Order
		senders int
	}{
		{bursts.RearmDrain, 4}, {bursts.DrainRearmDrain, 4}, {bursts.DrainRearm, 1}, {bursts.DrainRearm, 2},
		{bursts.DrainRearm, 4}, {bursts.DrainRearm, 8}, {bursts.DrainWorkRearm, 4}, {bursts.RearmTakeOne, 4},
	} {
		load.Senders = c.senders
		r, err := run(c.order, load)
		if err != nil {
			return err
		}
		fmt.Printf("%-29s %7d  %12d  %6.2f%%  %7.2f%%\n", c.order.Name, c.senders, r.Stuck, percent(r.Stuck, r.Rounds),
			percent(r.Spurious, r.Notifications))
		if r.Lost > 0 && c.order.Safe {
			return fmt.Errorf("%s lost %d wake-ups", c.order.Name, r.Lost)
		}
	}
	fmt.Println("\n" + explanation)
	return nil
}

// sendMillion has the senders send bursts of ten, unsynchronised.
func sendMillion(seed uint64) error {
	load := bursts.Usual(seed)
	load.Senders, load.Rounds, load.Bursts, load.Messages, load.Jitter = 8, 1, 12_500, 10, 2*time.Microsecond
	r, err := run(bursts.RearmDrain, load)
	if err != nil {
		return err
	}
	fmt.Printf("%d processes, each when it likes, seed %d: %v\n", load.Senders, seed, r)
	if r.Lost > 0 {
		return fmt.Errorf("%d wake-ups lost", r.Lost)
	}
	return nil
}

func run(order bursts.Order, load bursts.Load) (bursts.Result, error) {
	ctx, cancel := harness.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return bursts.Run(ctx, order, load)
}

func percent(part, whole int) float64 { return 100 * float64(part) / float64(max(whole, 1)) }
