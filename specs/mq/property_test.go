package mq_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/inside"
)

// tally is what one process has seen of its own registrations.
type tally struct {
	Registrations  int // that succeeded
	Busy           int // that did not, because there was another
	Woken, Removed int // ends that it was told of
	Doubled        int // registrations whose end it was told of more than once
	Untold         int // and never
}

// mix runs a part in several processes at once on one queue and adds up what they print.
func mix(part string, processes int) (all tally) {
	GinkgoHelper()
	q, seed := newQueue(2, 16), newSeed()
	tallies := make(chan tally, processes)
	var group sync.WaitGroup
	for i := range processes {
		group.Go(func() {
			defer GinkgoRecover()
			var t tally
			out := perform(part, q.Name(), fmt.Sprint(seed), fmt.Sprint(i))
			Expect(json.Unmarshal([]byte(out), &t)).To(Succeed(), out)
			tallies <- t
		})
	}
	group.Wait()
	close(tallies)
	for t := range tallies {
		all.Registrations, all.Busy = all.Registrations+t.Registrations, all.Busy+t.Busy
		all.Woken, all.Removed = all.Woken+t.Woken, all.Removed+t.Removed
		all.Doubled, all.Untold = all.Doubled+t.Doubled, all.Untold+t.Untold
	}
	AddReportEntry(part, fmt.Sprintf("seed %d: %+v", seed, all))
	return all
}

var _ = Describe("Every successful registration has one end", func() {
	DescribeTable("woken or removed", func(part string) {
		t := mix(part, 4)

		Expect(t.Woken + t.Removed).To(Equal(t.Registrations))
		Expect(t.Doubled).To(BeZero())
		Expect(t.Untold).To(BeZero())
		Expect(t.Woken).NotTo(BeZero())
		Expect(t.Removed).NotTo(BeZero())
		Expect(t.Busy).NotTo(BeZero())
	},
		Entry("Every registration ends in exactly one cookie, woken or removed, whoever sends, receives and cancels", row(120),
			"mix on a socket"),
		Entry("Every registration calls the package's function exactly once, whoever sends, receives and cancels", row(120),
			"mix through the package"),
	)
})

// mixed is one process of a mix: threads that register, cancel, send and receive at random.
type mixed struct {
	q        *mq.Queue
	register func(q *mq.Queue, id int) error // calls told with the same number when the registration ends
	seed     [2]uint64

	news chan struct{} // has one when an end was told of

	mu    sync.Mutex
	ends  map[int][]mq.Event // by registration; an entry without events has not ended
	last  int
	busy  int
	fault error
}

func newMixed(args []string) (*mixed, error) {
	seed, err1 := strconv.ParseUint(args[1], 10, 64)
	number, err2 := strconv.ParseUint(args[2], 10, 64)
	q, err := mq.Open(args[0], os.O_RDWR, 0, nil)
	return &mixed{q: q, seed: [2]uint64{seed, number << 8}, ends: map[int][]mq.Event{},
		news: make(chan struct{}, 1)}, errors.Join(err1, err2, err)
}

func (m *mixed) told(id int, ev mq.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ends[id] = append(m.ends[id], ev)
	select {
	case m.news <- struct{}{}:
	default:
	}
}

// tryRegister has the entry in place first: the end may come before the registration has returned.
func (m *mixed) tryRegister(q *mq.Queue) error {
	m.mu.Lock()
	m.last++
	id := m.last
	m.ends[id] = nil
	m.mu.Unlock()
	err := m.register(q, id)
	if err == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy++
	if len(m.ends[id]) > 0 {
		return fmt.Errorf("told %v of a registration that failed: %w", m.ends[id], err)
	}
	delete(m.ends, id)
	return err
}

// run has each call made again and again, at random moments.
func (m *mixed) run() error {
	calls := []func() error{
		func() error { return m.tryRegister(m.q) },
		func() error { return m.tryRegister(m.q) },
		m.q.Unnotify,
		func() error { return m.q.TrySend([]byte("x"), 0) },
		func() error { return receiveError(m.q) },
	}
	var group sync.WaitGroup
	for i, call := range calls {
		random := rand.New(rand.NewPCG(m.seed[0], m.seed[1]+uint64(i)))
		group.Go(func() {
			for range 1000 {
				for range random.IntN(100) {
					runtime.Gosched()
				}
				if err := call(); err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EAGAIN) {
					m.mu.Lock()
					m.fault = errors.Join(m.fault, err)
					m.mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	return m.fault
}

func (m *mixed) ended() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, events := range m.ends {
		if len(events) == 0 {
			return false
		}
	}
	return true
}

// await waits, within bounds, until every registration has ended.
func (m *mixed) await() {
	timeout := time.After(inside.Patience)
	for !m.ended() {
		select {
		case <-m.news:
		case <-timeout:
			return
		}
	}
}

// finish ends the last registration. Then it makes and ends one more: what its end does not overtake has come.
func (m *mixed) finish() error {
	if err := m.q.Close(); err != nil {
		return err
	}
	m.await()
	q, err := mq.Open(newName(), newOne, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 16})
	if err != nil {
		return err
	}
	err = errors.Join(mq.Unlink(q.Name()), m.tryRegister(q), q.Close())
	m.await()
	return err
}

func (m *mixed) report() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := tally{Registrations: len(m.ends), Busy: m.busy}
	for _, events := range m.ends {
		switch {
		case len(events) == 0:
			t.Untold++
		case len(events) > 1:
			t.Doubled++
		case events[0] == mq.Arrived:
			t.Woken++
		case events[0] == mq.Removed:
			t.Removed++
		}
	}
	return json.NewEncoder(os.Stdout).Encode(t)
}

func init() {
	parts["mix through the package"] = func(args []string) error {
		m, err := newMixed(args)
		if err != nil {
			return err
		}
		m.register = func(q *mq.Queue, id int) error { return q.Notify(func(ev mq.Event) { m.told(id, ev) }) }
		return errors.Join(m.run(), m.finish(), m.report())
	}
	parts["mix on a socket"] = func(args []string) error {
		m, err := newMixed(args)
		if err != nil {
			return err
		}
		socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		m.register = func(q *mq.Queue, id int) (err error) {
			c := cookie{byte(id), byte(id >> 8)}
			controlErr := q.Control(func(fd uintptr) { err = rawNotifyThread(int(fd), socket, &c) })
			return errors.Join(controlErr, err)
		}
		go m.readCookies(&mailbox{socket})
		return errors.Join(m.run(), m.finish(), m.report())
	}
}

func (m *mixed) readCookies(box *mailbox) {
	for {
		c, err := box.next()
		if err != nil {
			fmt.Println("the socket:", err)
			os.Exit(1)
		}
		m.told(int(c[0])|int(c[1])<<8, mq.Event(c[31]))
	}
}
