package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"daemonlab/lab/mq"
)

// Nothing tells when a queue of another process goes, so a client that waits for room looks again and again, soon at
// first, and each at moments of its own.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 256 * time.Millisecond
)

// waitForRoom makes the queue when others have left room for it. It returns refused, the reason why there was none, or
// a later one, when the time is up, or when there never can be room.
func (m *replyMaker) waitForRoom(limit time.Duration, bytes uint64, refused error) (*mq.Blocking, int, error) {
	if m.shapes[len(m.shapes)-1].cost() > bytes || limit == 0 {
		return nil, 0, refused
	}
	fmt.Fprintf(os.Stderr, "mqfile: waiting up to %v for room: %s\n", limit, forStderr(refused.Error()))
	end := time.Now().Add(limit)
	for pause := firstPause; time.Now().Before(end); pause = min(2*pause, lastPause) {
		time.Sleep(min(pause/2+rand.N(pause/2), time.Until(end)))
		q, size, err := m.make()
		if !noRoom(err) {
			return q, size, err
		}
		refused = err
	}
	return nil, 0, fmt.Errorf("no room in %v: %w", limit, refused)
}
