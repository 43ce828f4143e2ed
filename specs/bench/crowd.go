package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// crowdSize is how many clients come at once while the slow transfers of the same user go on. There is room for the
// queues of a few; the others wait for it.
func crowdSize(quick bool) int {
	if quick {
		return 100
	}
	return 1000
}

// crowd has so many clients fetch a small file. Each must be served. It returns the seconds until the last was.
func (b *bench) crowd(ctx context.Context, clients int) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin := time.Now()
	served := make(chan error, clients)
	for range clients {
		go func() {
			out, err := finished(ctx, b.path("mqfile"), "--queue", b.queue, strconv.Itoa(small))
			if err == nil && len(out) != small {
				err = fmt.Errorf("mqfile: %d bytes came of %d", len(out), small)
			}
			served <- err
		}()
	}
	var first error
	for range clients {
		if err := <-served; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return time.Since(begin).Seconds(), first
}
