package mq_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/parts"
	"daemonlab/specs/mq/bursts"
)

// newSeed is always printed, so that a run can be repeated. Scheduling cannot.
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

// servesAll expects no loss in any round. On a slow machine it runs fewer rounds: each is just as likely to show a
// fault.
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

var _ = Describe("Every successful registration has one end", func() {
	It("Every registration ends in exactly one cookie, woken or removed, whoever sends, takes or cancels", row(120), func() {
		q, seed, outs := newQueue(2, 16), newSeed(), make(chan string, 4)
		for i := range cap(outs) {
			go func() {
				defer GinkgoRecover()
				outs <- must(parts.Run("mix", q.Name(), fmt.Sprint(seed), fmt.Sprint(i)))
			}()
		}
		var woken, removed, busy int
		for range cap(outs) {
			var out string
			Eventually(outs).Should(Receive(&out))
			var w, r, b int
			must(fmt.Sscan(out, &w, &r, &b))
			woken, removed, busy = woken+w, removed+r, busy+b
		}
		AddReportEntry("mix", fmt.Sprintf("seed %d: %d woken, %d removed, %d busy", seed, woken, removed, busy))
		Expect([]int{woken, removed, busy}).To(HaveEach(Not(BeZero())))
	})
})

func init() { parts.Add("mix", mix) }

// mix is one of four processes whose threads register, cancel, send and receive at random moments. It prints how many
// registrations were woken, removed and refused, after checking that each has left exactly one cookie.
func mix(args []string) error {
	seed, err1 := strconv.ParseUint(args[1], 10, 64)
	number, err2 := strconv.ParseUint(args[2], 10, 64)
	fd, err3 := rawOpen(args[0][1:], os.O_RDWR|unix.O_NONBLOCK, 0, nil)
	socket, err4 := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}

	var last, busy atomic.Int64
	var made sync.Map // registration numbers
	register := func() error {
		id := uint16(last.Add(1))
		err := rawNotifyThread(fd, socket, &cookie{byte(id), byte(id >> 8)})
		if err == nil {
			made.Store(id, nil)
		} else {
			busy.Add(1)
		}
		return err
	}
	calls := []func() error{
		register, register,
		func() error { return rawNotify(fd, nil) },
		func() error { return rawSend(fd, []byte("x"), nil) },
		func() error { return outcome(rawReceive(fd, make([]byte, 16), nil)) },
	}
	failures := make(chan error, len(calls))
	var group sync.WaitGroup
	for i, call := range calls {
		random := rand.New(rand.NewPCG(seed, number<<8+uint64(i)))
		group.Go(func() {
			for range 1000 {
				for range random.IntN(100) {
					runtime.Gosched()
				}
				if err := call(); err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EAGAIN) {
					failures <- err
					return
				}
			}
		})
	}

	// Unread cookies fill the socket's buffer, and then mq_notify sleeps (row 135).
	var over atomic.Bool
	cookies := make(chan []cookie)
	go func() { cookies <- readUntil(&mailbox{socket}, &over) }()
	group.Wait()
	close(failures)
	if err := errors.Join(<-failures, unix.Close(fd)); err != nil { // ends the last registration
		return err
	}
	over.Store(true)
	count, err := ends(&made, <-cookies)
	if err == nil {
		fmt.Println(count[1], count[2], busy.Load())
	}
	return err
}

// ends counts the cookies by their last byte; every registration leaves one.
func ends(made *sync.Map, cookies []cookie) (count map[byte]int, err error) {
	count = map[byte]int{}
	for _, c := range cookies {
		id := uint16(c[0]) | uint16(c[1])<<8
		if _, pending := made.LoadAndDelete(id); !pending {
			return nil, fmt.Errorf("registration %d: cookie %v, and one before or none due", id, c)
		}
		count[c[31]]++
	}
	for id := range made.Range {
		return nil, fmt.Errorf("registration %d has no end", id)
	}
	return count, nil
}

// readUntil reads cookies until done. The kernel queues a cookie before the call that causes it returns.
func readUntil(box *mailbox, over *atomic.Bool) (all []cookie) {
	for {
		last := over.Load()
		c, err := box.next()
		switch {
		case err == nil:
			all = append(all, c)
		case last || !errors.Is(err, unix.EAGAIN):
			return all
		default:
			unix.Poll([]unix.PollFd{{Fd: int32(box.fd), Events: unix.POLLIN}}, 1)
		}
	}
}
