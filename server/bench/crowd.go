package main

import (
	"context"
	"fmt"
	"os"
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

// crowd has so many clients fetch a small file. Each must be served, which its exit status says. It returns the seconds
// until the last was. They write to files and not to pipes, whose ends a thousand forks would pass around.
func (b *bench) crowd(ctx context.Context, clients int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	said, err := os.Create(b.path("crowd.log"))
	if err != nil {
		return 0, err
	}
	defer said.Close()
	begin := time.Now()
	served := make(chan error, clients)
	for range clients {
		go func() {
			cmd := helper(ctx, b.path("mqfile"), "--queue", b.queue, strconv.Itoa(small))
			cmd.Stderr = said
			served <- cmd.Run()
		}()
	}
	failed := 0
	for range clients {
		if clientErr := <-served; clientErr != nil {
			failed, err = failed+1, clientErr
		}
	}
	if err != nil {
		text, _ := os.ReadFile(said.Name())
		return 0, fmt.Errorf("%d of %d clients: %w:\n%s", failed, clients, err, text[:min(len(text), 2000)])
	}
	return time.Since(begin).Seconds(), nil
}
