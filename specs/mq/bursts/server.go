package bursts

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
)

// Order is the sequence of steps that a server takes on a notification.
type Order struct {
	Name  string
	Safe  bool // cannot lose a wake-up
	steps []step
}

type step func(*server) error

// The orders found in real programs.
var (
	RearmDrain      = Order{"register, drain", true, []step{(*server).rearm, (*server).drain}}
	DrainRearmDrain = Order{"drain, register, drain again", true, []step{(*server).drain, (*server).rearm, (*server).drain}}
	DrainRearm      = Order{"drain, register", false, []step{(*server).drain, (*server).rearm}}
	DrainWorkRearm  = Order{"drain, work 10 µs, register", false, []step{(*server).drain, (*server).work, (*server).rearm}}
	RearmTakeOne    = Order{"register, take one", false, []step{(*server).rearm, (*server).takeOne}}
)

// server is driven by notifications alone.
type server struct {
	queue  *mq.Queue
	order  Order
	events chan struct{} // signalled on every change

	registrations atomic.Int64 // including one in progress
	handled       atomic.Int64 // notifications fully handled
	spurious      atomic.Int64

	taking sync.Mutex // handlers may overlap: a message is entered in the ledger before the next one is received
	ledger ledger
	buf    [messageSize]byte
	err    error
}

var queues atomic.Int64

func newServer(order Order, load Load) (*server, error) {
	name := fmt.Sprintf("/bursts-%d-%d", os.Getpid(), queues.Add(1))
	q, err := mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: load.Depth, MsgSize: messageSize})
	if err != nil {
		return nil, err
	}
	s := &server{queue: q, order: order, events: make(chan struct{}, 1), ledger: newLedger(load)}
	if err := s.rearm(); err != nil {
		return nil, errors.Join(err, mq.Unlink(name), q.Close())
	}
	return s, nil
}

// handle is the notification function.
func (s *server) handle(ev mq.Event) {
	if ev == mq.Removed { // by Close, at the end
		return
	}
	before := s.received()
	for _, step := range s.order.steps {
		if err := step(s); err != nil {
			s.fail(err)
		}
	}
	if s.received() == before {
		s.spurious.Add(1)
	}
	s.handled.Add(1)
	select {
	case s.events <- struct{}{}:
	default: // one is pending already
	}
}

func (s *server) rearm() error {
	s.registrations.Add(1)
	return s.queue.Notify(s.handle)
}

func (s *server) drain() error {
	for {
		if more, err := s.take(); !more {
			return err
		}
	}
}

// work stands for what a server may do before it registers, such as writing a log line.
func (s *server) work() error {
	spin(10 * time.Microsecond)
	return nil
}

func (s *server) takeOne() error {
	_, err := s.take()
	return err
}

// take receives a message, if there is one.
func (s *server) take() (taken bool, err error) {
	s.taking.Lock()
	defer s.taking.Unlock()
	n, prio, err := s.queue.TryReceive(s.buf[:])
	if errors.Is(err, unix.EAGAIN) {
		return false, nil
	}
	if err == nil {
		err = s.ledger.enter(s.buf[:n], prio)
	}
	return err == nil, err
}

func (s *server) received() int {
	s.taking.Lock()
	defer s.taking.Unlock()
	return s.ledger.received
}

func (s *server) fail(err error) {
	s.taking.Lock()
	defer s.taking.Unlock()
	s.err = errors.Join(s.err, err)
}

func (s *server) failed() error {
	s.taking.Lock()
	defer s.taking.Unlock()
	return s.err
}

// asleep reports whether the server is asleep for good on a queue with messages: it is registered, so no notification
// is under way; it has handled all earlier ones; and the queue is not empty, so the kernel will announce no message.
func (s *server) asleep() (bool, error) {
	made, handled := s.registrations.Load(), s.handled.Load()
	if handled != made-1 {
		return false, nil
	}
	status, err := s.queue.Status()
	if err != nil || !status.Registered() || status.QSize == 0 {
		return false, err
	}
	return s.registrations.Load() == made, nil // unchanged, so still the same registration
}
