package main

import (
	"fmt"
	"sync/atomic"
	"time"
)

// counters are what the server has done since it was ready. Each request costs an addition or two.
type counters struct {
	begin   time.Time
	served  atomic.Int64
	failed  atomic.Int64
	dropped atomic.Int64 // requests that got no answer: malformed, or without a queue to answer to
	bytes   atomic.Int64 // of files
}

func (c *counters) start() { c.begin = time.Now() }

func (c *counters) ended(err error, sent int64) {
	if err != nil {
		c.failed.Add(1)
	} else {
		c.served.Add(1)
	}
	c.bytes.Add(sent)
}

// report tells people how the server does. Transfers that need no waiting are over before one could count them.
func (s *server) report() string {
	running, held := s.shares.count()
	c := &s.counters
	return fmt.Sprintf(`  uptime     %v
  transfers  %d running, at most %d, of one user's slow clients %d
  requests   %d served, %d failed, %d dropped, %d held back
  sent       %d bytes
`, time.Since(c.begin).Truncate(time.Second), running, s.Transfers, s.Share,
		c.served.Load(), c.failed.Load(), c.dropped.Load(), held, c.bytes.Load())
}
