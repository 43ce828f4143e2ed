package specs_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/procfs"
	"daemonlab/specs/facts"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

var _ = Row("notify", func(r row) {
	It("is registered while it is idle, and again after it has served", func(ctx SpecContext) {
		s := r.start(ctx)
		r.eventuallyRegistered(ctx, s, say("started it"))
		for i := range 3 {
			r.mustServe(ctx, s, say("started it"))
			r.eventuallyRegistered(ctx, s, say("fetched %d files", i+1))
		}
	})
})

func registration(s *harness.Server) (line rubric.Text, status mq.Status, ok bool) {
	status, _, err := harness.QueueStatus(s.Queue)
	if err != nil {
		return say("%v", err), status, false
	}
	return say("%s in mqueuefs: QSIZE:%d NOTIFY:%d SIGNO:%d NOTIFY_PID:%d; the daemon is PID %d", s.Queue,
		status.QSize, status.Notify, status.Signo, status.NotifyPID, s.PID), status, facts.Registered(status, s.PID)
}

// eventuallyRegistered waits for the registration: that it is there from the first instant on is the row `ready`'s, and
// after a request a program may send the answer first.
func (r row) eventuallyRegistered(ctx context.Context, s *harness.Server, did rubric.Text) {
	var line rubric.Text
	var status mq.Status
	ok := eventually(ctx, func() (ok bool) {
		line, status, ok = registration(s)
		return ok
	})
	cause := say("NOTIFY:%d is %s: sigev_notify must be SIGEV_THREAD", status.Notify,
		map[mq.Sigev]string{mq.SigevSignal: "SIGEV_SIGNAL", mq.SigevNone: "SIGEV_NONE"}[status.Notify])
	switch {
	case !harness.QueueExists(s.Queue):
		cause = say("there is no request queue: mq_open(3) with O_CREAT makes it, under the name that --queue gives")
	case status.NotifyPID == 0:
		cause = say("NOTIFY_PID:0 means that nobody is registered: a notification consumes the registration, and " +
			"closing any descriptor of the queue removes it")
	case status.NotifyPID != s.PID:
		cause = say("another process is registered: the daemon itself must call mq_notify(3), after the last fork")
	}
	r.must(ok, did, say("NOTIFY:2 (SIGEV_THREAD) and NOTIFY_PID the daemon's"), line, cause)
}

// eventually waits until ok, or until the program has had its time.
func eventually(ctx context.Context, ok func() bool) bool {
	return within(ctx, harness.Patience, ok)
}

// within polls, often at first, until ok or until the limit has passed.
func within(ctx context.Context, limit time.Duration, ok func() bool) bool {
	ctx, cancel := harness.WithTimeout(ctx, limit)
	defer cancel()
	pause := time.Millisecond
	for !ok() {
		pause = min(pause*5/4, 20*time.Millisecond)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ok()
		}
	}
	return true
}

var _ = Row("rearm", func(r row) {
	// A request is lost when it comes between the emptying of the queue and a registration made too late. One sender
	// hardly ever does that; several with a little jitter do in some percent of the bursts.
	const senders, bursts = 4, 500
	It("leaves no request of any burst unserved", func(ctx SpecContext) {
		s := r.start(ctx)
		Expect(s.WriteFile("small", []byte("x"))).To(Succeed())
		clients := make([]*harness.Client, senders)
		for i := range clients {
			clients[i] = client(harness.Shape{Depth: 4, MsgSize: 256})
		}
		seed := uint64(GinkgoRandomSeed())
		unit := r.jitterUnit(ctx, s, clients[0])
		begin := time.Now()
		for n := range bursts {
			if took := time.Since(begin); n >= bursts/5 && took > 20*time.Second {
				AddReportEntry(finding.Noted, say("%d of %d bursts, seed %d, in %v: this machine is slow", n, bursts, seed,
					took.Round(time.Second)))
				return
			}
			r.mustServeBurst(ctx, s, clients, n, seed, unit)
		}
	})
})

// jitterUnit is the shortest time in which the requests of a burst come: 40 us, where a server's answer takes 120 us at
// most, and in proportion where it takes longer, so that as many of them meet it at any moment of its work.
func (r row) jitterUnit(ctx context.Context, s *harness.Server, c *harness.Client) time.Duration {
	r.fetch(ctx, c, s, "small") // a server that answers no first request has another row's fault
	fastest := harness.Patience
	for range 20 { // others have the processor during some
		begin := time.Now()
		e, err := c.Fetch(ctx, s.Queue, "small")
		fastest = min(fastest, time.Since(begin))
		r.must(err == nil, say("asked for a small file again and again"), say("every request is served"), say("%v", err),
			unanswered(s, e))
	}
	return max(40*time.Microsecond, fastest/3)
}

// requestsInTurn are those of one client in a burst. Each may come at the wrong moment for the server, and when one has
// no later one makes up for it: a queue with messages announces none.
const requestsInTurn = 4

// mustServeBurst sends requests from every client, each at a random moment. In some bursts these lie within one unit and
// in some within eight: when the moment comes that a server is not ready for depends on the server.
func (r row) mustServeBurst(ctx context.Context, s *harness.Server, clients []*harness.Client, n int, seed uint64, unit time.Duration) {
	failed := make([]error, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		chance := rand.New(rand.NewPCG(seed, uint64(n*len(clients)+i)))
		wg.Go(func() {
			for range requestsInTurn {
				wait(time.Duration(chance.Int64N(int64(unit) << (n % 4))))
				if _, failed[i] = c.Fetch(ctx, s.Queue, "small"); failed[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range failed {
		if err == nil {
			continue
		}
		line, status, registered := registration(s)
		cause := say("a registered daemon with QSIZE above 0 sleeps for ever: it drained the queue, and a request " +
			"arrived before it registered. With NOTIFY_PID:0 it did not register again at all")
		if registered && status.QSize == 0 {
			cause = unanswered(s, harness.Exchange{})
		}
		r.can(ctx, false,
			say("sent burst %d of %d requests at random moments, seed %d", n+1, len(clients)*requestsInTurn, seed),
			say("every request is served"), say("%v\n%s", err, line), cause)
	}
}

// wait spins where a timer is too coarse: a thread's slack is 50 us, see prctl(2), PR_SET_TIMERSLACK, and one of Go's
// own timers may be a millisecond late.
func wait(d time.Duration) {
	begin := time.Now()
	if d > 100*time.Microsecond {
		pause := unix.NsecToTimespec(int64(d - 75*time.Microsecond))
		unix.Nanosleep(&pause, nil) // a signal may cut it short
	}
	for time.Since(begin) < d {
	}
}

var _ = Row("backlog", func(r row) {
	It("serves what a killed daemon has left in its queue", func(ctx SpecContext) {
		p := place()
		Expect(p.WriteFile("file", []byte("late\n"))).To(Succeed())
		s := r.startAt(ctx, p, harness.Setting{})
		r.goesOn(s.Signal(unix.SIGKILL), s, say("sent SIGKILL"))
		must(s.WaitForEnd(ctx))
		limits := must(mq.SystemLimits())
		clients := make([]*harness.Client, min(3, limits.MsgMax))
		for i := range clients {
			clients[i] = client(harness.Small)
		}
		if limits.MsgMax > len(clients) {
			Expect(harness.SendRaw(ctx, p.Queue, nil)).To(Succeed())
		}
		for _, c := range clients {
			err := c.Request(ctx, p.Queue, "file")
			r.must(err == nil, say("killed the daemon with SIGKILL and sent a request"),
				say("the queue still exists and has room"), say("%v", err))
		}

		r.startAt(ctx, p, harness.Hostile())
		for i, c := range clients {
			e, err := c.Finish(ctx, "file")
			r.can(ctx, err == nil && string(e.Content) == "late\n",
				say("killed the daemon with SIGKILL, put an empty message and %d requests into its queue and started it again", len(clients)),
				say("the requests already in the queue are served"),
				say("request %d: %s, error: %v", i+1, e.Summary(), err),
				say("no notification comes for a queue that is not empty when mq_notify(3) is called"))
		}
	})
})

// A file that no reply queue holds whole keeps a transfer going until the client reads.
var large = largeOf(0)

// largeOf is a large file of a client's own: what a thread has of another's is seen.
func largeOf(client int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "of client %5d\n", client), 64<<10)
}

// stuckClients, with these PIDs, have each asked for a large file of its own and taken nothing of it; their queues are
// full.
func (r row) stuckClients(ctx context.Context, s *harness.Server, with ...int32) []*harness.Client {
	clients := make([]*harness.Client, len(with))
	for i, pid := range with {
		name := fmt.Sprintf("large-%d", i)
		Expect(s.WriteFile(name, largeOf(i))).To(Succeed())
		clients[i] = client(harness.Shape{Depth: 2, MsgSize: 4096})
		clients[i].PID = pid
		r.goesOn(clients[i].Request(ctx, s.Queue, name), s, say("asked for a large file"))
	}
	for _, c := range clients {
		r.can(ctx, eventually(ctx, c.IsFull),
			say("had %d clients ask for a file of %d bytes and read nothing", len(clients), len(large)),
			say("each reply queue fills up"), say("the queue of one of them does not"),
			say("requests are served one at a time and the first is waiting for its client, or there are fewer "+
				"threads than clients and each is waiting for one"))
	}
	return clients
}

var _ = Row("threads", func(r row) {
	It("has no child process while it transfers", func(ctx SpecContext) {
		s := r.start(ctx)
		before, waited := must(harness.Adopted()), r.stat(s).ChildFaults
		c := r.stuckClients(ctx, s, self)[0]
		children := must(procfs.New("/proc").Children(s.PID))
		after := must(harness.Adopted())
		r.must(len(children) == 0 && len(after) <= len(before),
			say("looked at the daemon while it sends to a client"), say("it has no children"),
			say("PID %d has children %v; %d processes in all, %d before", s.PID, pids(children), len(after),
				len(before)))
		c.Finish(ctx, "large")
		c.Fetch(ctx, s.Queue, "missing")
		now := r.stat(s).ChildFaults // no process ends without a page fault
		r.must(now == waited, say("looked at the daemon after the transfer"), say("it never had a child"),
			say("%s: cminflt %d, %d before: it has waited for a child", s.Process.Path("stat"), now, waited))
	})
})

var _ = Row("concurrent", func(r row) {
	const slowClients = 20
	It("serves others while clients do not read", func(ctx SpecContext) {
		// Those that are read last have taken nothing for as long as this machine needs for the others.
		s := r.start(ctx, "--stall", "3600")
		slow := r.stuckClients(ctx, s, slices.Repeat([]int32{self}, slowClients)...)
		r.mustServe(ctx, s, say("had %d clients ask for a large file and read nothing", slowClients))
		exchanges, errs := make([]harness.Exchange, slowClients), make([]error, slowClients)
		var wg sync.WaitGroup
		for i, c := range slow { // all at the same time, as the server sends to them
			wg.Go(func() { exchanges[i], errs[i] = c.Finish(ctx, "large") })
		}
		wg.Wait()
		for i, e := range exchanges {
			r.can(ctx, errs[i] == nil && bytes.Equal(e.Content, largeOf(i)),
				say("then read each slow client's file, a different one for each"), say("the whole file"),
				say("%s, error: %v", difference(e, largeOf(i)), errs[i]),
				say("threads share a variable: a static buffer, descriptor or structure holds what the last request "+
					"put there"))
		}
	})
	It("serves others while clients do not read their FAILURE", func(ctx SpecContext) {
		s := r.start(ctx)
		for range slowClients {
			c := client(harness.Shape{Depth: 1, MsgSize: 256})
			Expect(c.Fill()).To(Succeed())
			r.goesOn(c.Request(ctx, s.Queue, "missing"), s, say("asked for a file that does not exist, with a reply queue that is full"))
		}
		r.mustServe(ctx, s, say("had %d clients, whose reply queues are full, ask for a file that does not exist", slowClients))
	})
})
