package main

import (
	"os"
	"sync"

	"daemonlab/lab/mq"
)

// leftovers knows the names that would outlive the process: the reply queue's and the unfinished file's. A name is made
// and noted in one step, so that a signal finds either both or neither.
type leftovers struct {
	mu    sync.Mutex
	queue string // "" when there is none
	file  string // "" when there is none
}

// makeQueue notes name when create has made a queue of that name.
func (l *leftovers) makeQueue(name string, create func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := create(); err != nil {
		return err
	}
	l.queue = name
	return nil
}

// makeFile notes path when create has made a file of that name.
func (l *leftovers) makeFile(path string, create func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := create(); err != nil {
		return err
	}
	l.file = path
	return nil
}

// placeFile gives the file that was made its final name.
func (l *leftovers) placeFile(target string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.Rename(l.file, target); err != nil {
		return err
	}
	l.file = ""
	return nil
}

// removeQueue takes the queue's name away. The queue itself lives on while somebody has it open (mq_unlink(3)).
func (l *leftovers) removeQueue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlinkQueue()
}

// unlinkQueue has nothing to say: that the name is gone already, by another's hand, is what it wants.
func (l *leftovers) unlinkQueue() {
	if l.queue != "" {
		mq.Unlink(l.queue)
		l.queue = ""
	}
}

// remove takes all names away.
func (l *leftovers) remove() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeAll()
}

// removeForGood does so too and lets no new ones be made: whoever tries waits until the process has ended.
func (l *leftovers) removeForGood() {
	l.mu.Lock()
	l.removeAll()
}

func (l *leftovers) removeAll() {
	l.unlinkQueue()
	if l.file != "" {
		os.Remove(l.file)
		l.file = ""
	}
}
