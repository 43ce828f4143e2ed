package broken

import "sync"

// budget is the number of servers that may be up at a time. Each has a request queue of 45 kB, and RLIMIT_MSGQUEUE lets
// all queues of a user take 800; a server that finds less room makes a queue that is too shallow.
type budget struct {
	mu    sync.Mutex // held while one takes, so that two do not wait for each other
	taken chan struct{}
}

func newBudget(servers int) *budget {
	return &budget{taken: make(chan struct{}, servers)}
}

func (b *budget) take(servers int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range servers {
		b.taken <- struct{}{}
	}
}

func (b *budget) give(servers int) {
	for range servers {
		<-b.taken
	}
}
