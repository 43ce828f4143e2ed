package main

import (
	"errors"
	"fmt"
	"sync"

	"daemonlab/lab/wire"
)

// shares bounds what one user's clients can take from those of others. A transfer whose client's queue has no room for
// all of it may last as long as that client likes, so each user may have only so many of them at a time; further
// requests of that user are held back, in their order, until one of them ends. Transfers that need no waiting are not
// counted: they cost others nothing, and the count costs them nothing.
//
// The user is the owner of the reply queue: what a request says of its sender is only that client's word.
type shares struct {
	limit int // transfers at a time of one user

	mu     sync.Mutex
	users  map[int]*user // by UID; those that have a transfer
	held   int           // requests held back, of all users
	closed bool
}

// user is somebody who has transfers. Requests are held back only while the share is taken, so that there is a
// transfer whose end lets the next one begin.
type user struct {
	uid     int
	running int
	held    []wire.Request
}

// maxHeld bounds the memory of requests that are held back, some 4 KiB each at most. One user may hold as many as are
// then still free for others, so half of them alone: more than an IPC namespace has queues by default (queues_max).
const maxHeld = 2048

func newShares(limit int) *shares {
	return &shares{limit: limit, users: map[int]*user{}}
}

// enter counts a transfer in. It returns nil when the user has its share already.
func (s *shares) enter(uid int) *user {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(uid)
}

func (s *shares) add(uid int) *user {
	u := s.users[uid]
	if u == nil {
		u = &user{uid: uid}
		s.users[uid] = u
	}
	if u.running >= s.limit {
		return nil
	}
	u.running++
	return u
}

// enterOrHold counts a transfer in, or holds its request back and returns nil.
func (s *shares) enterOrHold(uid int, r wire.Request) (*user, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.add(uid); u != nil {
		return u, nil
	}
	u := s.users[uid]
	switch {
	case s.closed:
		return nil, errStopping
	case len(u.held) >= maxHeld-s.held:
		return nil, tooMany(uid)
	}
	u.held = append(u.held, r)
	s.held++
	return nil, nil
}

// leave counts a transfer out. If a request of its user is held back, that is returned and takes the place.
func (s *shares) leave(u *user) (next wire.Request, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(u.held) > 0 {
		next, u.held[0] = u.held[0], wire.Request{}
		u.held = u.held[1:]
		s.held--
		return next, true
	}
	u.running--
	if u.running == 0 {
		delete(s.users, u.uid)
	}
	return next, false
}

// count tells how many transfers are counted in, and how many requests held back.
func (s *shares) count() (running, held int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		running += u.running
	}
	return running, s.held
}

// close holds nothing back any more. It returns what was.
func (s *shares) close() (held []wire.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, u := range s.users {
		held = append(held, u.held...)
		u.held = nil
	}
	s.held = 0
	return held
}

// errTooMany refuses a user whose share is taken and whose request cannot be held back.
var errTooMany = errors.New("too many transfers at once")

func tooMany(uid int) error {
	return fmt.Errorf("%w for user %d", errTooMany, uid)
}
