package mq_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"daemonlab/specs/mq/bursts"
)

// newSeed is shown in any case, so that a run can be had again. What the scheduler does cannot.
func newSeed() uint64 {
	seed := uint64(rand.Uint32())
	AddReportEntry("seed", seed, ReportEntryVisibilityFailureOrVerbose)
	return seed
}

func serve(ctx context.Context, order bursts.Order, load bursts.Load) bursts.Result {
	GinkgoHelper()
	r := must(bursts.Run(ctx, order, load))
	Expect(r.Messages).To(Equal(load.Rounds * load.Senders * load.Bursts * load.Messages))
	AddReportEntry(order.Name, fmt.Sprintf("seed %d: %v", load.Seed, r))
	return r
}

// servesAll has nothing lost in all rounds. Where they are slow it is content with fewer of them: the chance that one of
// them shows a fault is not less there.
func servesAll(ctx context.Context, order bursts.Order, load bursts.Load) {
	GinkgoHelper()
	const parts = 10
	load.Rounds /= parts
	begin := time.Now()
	for part := 0; part < parts && time.Since(begin) < 10*time.Second; part++ {
		Expect(serve(ctx, order, load).Lost).To(BeZero())
		load.Seed++
	}
}

var _ = Describe("Under concurrent clients", func() {
	DescribeTable("thousands of bursts", func(ctx SpecContext, change func(*bursts.Load)) {
		load := bursts.Usual(newSeed())
		change(&load)
		servesAll(ctx, bursts.RearmDrain, load)
	},
		Entry("A server that registers before it drains gets every message of thousands of bursts, once and in order", row(121),
			func(*bursts.Load) {}),
		Entry("A server that registers before it drains gets every message through a queue of one message", row(121),
			func(l *bursts.Load) { l.Depth, l.Rounds = 1, 500 }),
		Entry("A server that registers before it drains gets every message of senders that never wait for it", row(121),
			func(l *bursts.Load) { l.Senders, l.Rounds, l.Bursts, l.Messages = 6, 10, 100, 5 }),
	)

	It("A server that drains, registers and drains again gets every message", row(121), func(ctx SpecContext) {
		load := bursts.Usual(newSeed())
		load.Rounds = 500
		servesAll(ctx, bursts.DrainRearmDrain, load)
	})

	It("A server that drains and then registers sleeps, sooner or later, on a queue with messages", row(121),
		func(ctx SpecContext) {
			load := bursts.Usual(newSeed())
			load.Senders, load.Rounds = 8, 100
			for tried := 0; serve(ctx, bursts.DrainRearm, load).Lost == 0; tried += load.Rounds {
				Expect(tried).To(BeNumerically("<", 50_000), "see scripts/demo notify for the usual rate")
				load.Seed++
			}
		})
})
