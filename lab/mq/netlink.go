//go:build linux

package mq

import (
	"encoding/binary"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// The kernel cannot call a function. For SIGEV_THREAD it keeps a cookie of 32 bytes and writes it to a netlink socket
// when the registration ends, with the event in the last byte. In glibc a thread reads the socket; here goroutines do.
// See mq_notify(2) and the kernel's do_mq_notify.

const cookieSize = 32 // NOTIFY_COOKIE_LEN

// cookie holds the registration's number, zeroes, and the event in the last byte. A number, not a pointer: the cookie
// may be read long after the Queue is closed. Only the kernel can send to the socket, which has no address.
type cookie [cookieSize]byte

// registry holds the registrations that have not ended.
type registry struct {
	mu      sync.Mutex
	last    uint64
	pending map[uint64]registration
	sockets []*socket
}

type registration struct {
	f     func(Event)
	owner *handle // keeps a registered queue from the garbage collector
	on    *socket
}

var notifications = registry{pending: make(map[uint64]registration)}

// register adds the entry before the kernel knows of it: the cookie may be read before mq_notify returns.
func (r *registry) register(h *handle, fd int, f func(Event)) error {
	id, on, err := r.add(h, f)
	if err != nil {
		return err
	}
	var c cookie
	binary.NativeEndian.PutUint64(c[:], id)
	raceRelease()
	if errno := sysNotifyThread(fd, on, &c); errno != 0 {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.remove(id)
		return errno
	}
	return nil
}

func (r *registry) add(h *handle, f func(Event)) (id uint64, on int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.roomy()
	if err != nil {
		return 0, 0, err
	}
	r.last++
	s.charged++
	r.pending[r.last] = registration{f: f, owner: h, on: s}
	return r.last, s.fd, nil
}

// remove removes a registration and returns its function, nil if the number is not ours. The caller has locked mu.
func (r *registry) remove(id uint64) func(Event) {
	reg, ok := r.pending[id]
	if ok {
		delete(r.pending, id)
		reg.on.charged--
	}
	return reg.f
}

// answer returns the function for a cookie, or nil. The caller has locked mu.
func (r *registry) answer(c *cookie) (func(Event), Event) {
	raceAcquire()
	return r.remove(binary.NativeEndian.Uint64(c[:])), Event(c[cookieSize-1])
}

// roomy returns a socket that can take one more registration without blocking mq_notify. The caller has locked mu.
func (r *registry) roomy() (*socket, error) {
	for _, s := range r.sockets {
		if s.charged >= s.capacity {
			r.catchUp(s)
		}
		if s.charged < s.capacity {
			return s, nil
		}
	}
	s, err := newSocket()
	if err != nil {
		return nil, err
	}
	r.sockets = append(r.sockets, s)
	go s.serve()
	return s, nil
}

// catchUp reads cookies that the reader has not reached: unread ones are charged, and while every processor is busy
// Go's poller runs only every 10 ms. The caller has locked mu.
func (r *registry) catchUp(s *socket) {
	var c cookie
	for {
		if _, err := unix.Read(s.fd, c[:]); err != nil {
			return
		}
		if f, ev := r.answer(&c); f != nil {
			go f(ev)
		}
	}
}

// chargeOf is an upper bound of what one registration takes of the socket's receive buffer, from mq_notify until its
// cookie is read: 832 bytes on Linux 6.18, somewhat more in kernels built with larger packets. When the buffer is full
// mq_notify sleeps, even with O_NONBLOCK (netlink_attachskb).
const chargeOf = 2048

// socket is a netlink socket that cookies arrive on. This process made it, close-on-exec, so nobody else reads its
// cookies, and it is never closed: that would not end the registrations made with it.
type socket struct {
	fd                int
	file              *os.File
	capacity, charged int    // registrations; guarded by the registry
	next              func() // serve as a value, made once so that starting it allocates nothing
	cookie            cookie // read last
}

func newSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("netlink socket", err)
	}
	size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("netlink socket buffer", err)
	}
	s := &socket{fd: fd, file: os.NewFile(uintptr(fd), "mq_notify"), capacity: max(size/chargeOf, 1)}
	s.next = s.serve
	return s, nil
}

// serve reads cookies until one has a function to call, starts its successor on the socket, and runs the function
// itself. So the function starts right after the read, and delays no others.
func (s *socket) serve() {
	for {
		if _, err := s.file.Read(s.cookie[:]); err != nil {
			return // somebody closed the descriptor behind the package's back; mq_notify will report it
		}
		notifications.mu.Lock()
		f, ev := notifications.answer(&s.cookie)
		notifications.mu.Unlock()
		if f != nil {
			go s.next()
			f(ev)
			return
		}
	}
}
