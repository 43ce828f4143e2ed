package mq_test

import (
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

var _ = Describe("Every successful registration has one end", func() {
	DescribeTable("woken or removed, which each of four processes finds of its own", func(part string) {
		q, seed, outs := newQueue(2, 16), newSeed(), make(chan string, 4)
		for i := range cap(outs) {
			go func() {
				defer GinkgoRecover()
				outs <- perform(part, q.Name(), fmt.Sprint(seed), fmt.Sprint(i))
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
		AddReportEntry(part, fmt.Sprintf("seed %d: %d woken, %d removed, %d busy", seed, woken, removed, busy))
		Expect([]int{woken, removed, busy}).To(HaveEach(Not(BeZero())))
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
	register func(q *mq.Queue, id int) error // has told called with the number when the registration ends
	seed     [2]uint64
	ended    chan struct{} // has one for each end

	mu       sync.Mutex
	ends     map[int]mq.Event // by registration; 0 is none yet
	last     int
	awaited  int // registrations that succeeded, less those whose end await has seen
	busy     int
	failures error
}

func newMixed(args []string) (*mixed, error) {
	seed, err1 := strconv.ParseUint(args[1], 10, 64)
	number, err2 := strconv.ParseUint(args[2], 10, 64)
	q, err := mq.Open(args[0], os.O_RDWR, 0, nil)
	return &mixed{q: q, seed: [2]uint64{seed, number << 8}, ends: map[int]mq.Event{},
		ended: make(chan struct{}, 1<<16)}, errors.Join(err1, err2, err)
}

func (m *mixed) told(id int, ev mq.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, known := m.ends[id]; !known || before != 0 {
		m.failures = errors.Join(m.failures, fmt.Errorf("registration %d: told %v, and %v before", id, ev, before))
	}
	m.ends[id] = ev
	m.ended <- struct{}{}
}

// tryRegister has the entry in place first: the end may come before the registration has returned.
func (m *mixed) tryRegister(q *mq.Queue) error {
	m.mu.Lock()
	m.last++
	id := m.last
	m.ends[id] = 0
	m.mu.Unlock()
	err := m.register(q, id)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.awaited++
		return nil
	}
	m.busy++
	if ev := m.ends[id]; ev != 0 {
		return fmt.Errorf("told %v of a registration that failed: %v", ev, err)
	}
	delete(m.ends, id)
	return err
}

// run has each call made again and again, at random moments.
func (m *mixed) run() {
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
					m.failures = errors.Join(m.failures, err)
					m.mu.Unlock()
				}
			}
		})
	}
	group.Wait()
}

// await waits, within bounds, for the end of every registration.
func (m *mixed) await() error {
	for timeout := time.After(inside.Patience); m.awaited > 0; m.awaited-- {
		select {
		case <-m.ended:
		case <-timeout:
			return fmt.Errorf("%d registrations have no end", m.awaited)
		}
	}
	return nil
}

// play runs the mix, ends the last registration, and prints how many were woken, removed and refused. One more
// registration is made and ended before: what its end does not overtake has come.
func (m *mixed) play() error {
	m.run()
	err := errors.Join(m.q.Close(), m.await())
	q, openErr := mq.Open(newName(), newOne, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 16})
	if err := errors.Join(err, openErr); err != nil {
		return err
	}
	err = errors.Join(mq.Unlink(q.Name()), m.tryRegister(q), q.Close(), m.await())
	m.mu.Lock()
	defer m.mu.Unlock()
	count := map[mq.Event]int{}
	for _, ev := range m.ends {
		count[ev]++
	}
	fmt.Println(count[mq.Arrived], count[mq.Removed], m.busy)
	return errors.Join(err, m.failures)
}

func init() {
	parts["mix through the package"] = func(args []string) error {
		m, err := newMixed(args)
		if err != nil {
			return err
		}
		m.register = func(q *mq.Queue, id int) error { return q.Notify(func(ev mq.Event) { m.told(id, ev) }) }
		return m.play()
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
		return m.play()
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
