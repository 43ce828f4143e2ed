package mq_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/parts"
)

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

// mix is one of four processes, in which threads register, cancel, send and receive at random moments. It prints how
// many registrations were woken, removed and refused, having found one cookie of each that was made.
func mix(args []string) error {
	seed, err1 := strconv.ParseUint(args[1], 10, 64)
	number, err2 := strconv.ParseUint(args[2], 10, 64)
	fd, err3 := rawOpen(args[0][1:], os.O_RDWR|unix.O_NONBLOCK, 0, nil)
	socket, err4 := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}

	var last, busy atomic.Int64
	var made sync.Map // numbers of registrations
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
		func() error { return rawSend(fd, []byte("x"), 0, nil) },
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

	// What is unread takes room, and without room mq_notify sleeps (row 135).
	var over atomic.Bool
	cookies := make(chan []cookie)
	go func() { cookies <- readUntil(&mailbox{socket}, &over) }()
	group.Wait()
	close(failures)
	if err := errors.Join(<-failures, unix.Close(fd)); err != nil { // which ends the last registration
		return err
	}
	over.Store(true)
	count, err := ends(&made, <-cookies)
	if err == nil {
		fmt.Println(count[1], count[2], busy.Load())
	}
	return err
}

// ends counts the cookies by their last byte, of which each registration has one.
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

// readUntil reads cookies until all is over. The kernel has put them there before the call returns that causes them.
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
