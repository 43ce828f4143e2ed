package main

import "sync"

// users keeps one user's clients from occupying all transfers by not reading: each user may have half of those that
// the others leave free, rounded up. A transfer that need not wait for its client does not count.
type users struct {
	mu        sync.Mutex
	free      int
	transfers map[uint32]int // by UID
}

func newUsers(transfers int) *users {
	return &users{free: transfers, transfers: map[uint32]int{}}
}

func (u *users) enter(uid uint32) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := u.transfers[uid]
	if n >= (u.free+n+1)/2 {
		return false
	}
	u.transfers[uid] = n + 1
	u.free--
	return true
}

func (u *users) leave(uid uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.free++
	if u.transfers[uid]--; u.transfers[uid] == 0 {
		delete(u.transfers, uid)
	}
}
