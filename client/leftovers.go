package main

import (
	"sync"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
)

// leftovers are the names that would outlive the process: the reply queue's and the unfinished file's. Whoever makes
// or removes one holds the lock until it is recorded here, so that the end of the process finds either both or
// neither.
type leftovers struct {
	sync.Mutex
	queue string // "" when there is none
	file  string // "" when there is none
	dir   int    // descriptor of the directory that the file is in
	once  sync.Once
}

// removeQueue unlinks the queue's name; the queue lives on while somebody has it open (mq_unlink(3)).
func (l *leftovers) removeQueue() {
	l.Lock()
	defer l.Unlock()
	l.unlinkQueue()
}

// unlinkQueue ignores errors: a missing name is the desired state.
func (l *leftovers) unlinkQueue() {
	if l.queue != "" {
		mq.Unlink(l.queue)
		l.queue = ""
	}
}

// removeForGood removes all names and leaves l locked, so that no new ones are made before the process has ended.
func (l *leftovers) removeForGood() {
	l.once.Do(func() {
		l.Lock()
		l.unlinkQueue()
		if l.file != "" {
			unix.Unlinkat(l.dir, l.file, 0)
		}
	})
}
