package main

import (
	"fmt"
	"sync/atomic"
)

// counters are what the server has done, for the log's last line.
type counters struct {
	served, failed, dropped atomic.Int64 // requests
	bytes                   atomic.Int64 // of files
}

func (c *counters) ended(sent int64, err error) {
	if err != nil {
		c.failed.Add(1)
	} else {
		c.served.Add(1)
	}
	c.bytes.Add(sent)
}

func (c *counters) String() string {
	return fmt.Sprintf("%d requests served, %d failed, %d dropped, %d bytes sent", c.served.Load(), c.failed.Load(),
		c.dropped.Load(), c.bytes.Load())
}
