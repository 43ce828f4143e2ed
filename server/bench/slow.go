package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// The default RLIMIT_MSGQUEUE has room for ninety concurrent transfers of one user, besides the request queue.
const slowTransfers = 90

var slowShape = shape{2, 4096}

const (
	slowBytes = 1 << 20
	slowPause = 20 * time.Millisecond  // of a client between messages
	slowTime  = 500 * time.Millisecond // during which the server is observed
)

// burden measures a fresh server of the contestant under slow transfers.
func (b *bench) burden(ctx context.Context, c contestant) error {
	if c.name == raw {
		return nil
	}
	return b.with(c, 1, func(s *server) error {
		idle, _, err := s.size()
		if err != nil {
			return err
		}
		lower := func(name, unit string, value float64) {
			b.report.add(key{Name: name, Unit: unit, Better: "lower"}, c.name, value)
		}
		lower("idle, server's memory", "MiB", idle)
		var memory, threads, crowd float64
		look := func(ctx context.Context) error { // keeps the maxima
			for ; ; time.Sleep(slowPause) {
				m, t, err := s.size()
				memory, threads = max(memory, m), max(threads, t)
				if err != nil || ctx.Err() != nil {
					return err
				}
			}
		}
		// These run while the slow transfers of the same user go on. There is room for the queues of a few; the others
		// wait for it.
		clients := 1000
		if b.quick {
			clients = 100
		}
		err = b.slow(ctx, func(ctx context.Context) error {
			alone, stop := context.WithTimeout(ctx, slowTime)
			defer stop()
			if err := look(alone); err != nil || c.name != ours {
				return err
			}
			crowded, stop := context.WithCancel(ctx)
			var crowdErr error
			go func() {
				defer stop()
				crowd, crowdErr = b.crowd(ctx, clients)
			}()
			err := look(crowded)
			<-crowded.Done()
			return errors.Join(err, crowdErr)
		})
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%d slow transfers, server's ", slowTransfers)
		lower(what+"memory", "MiB", memory)
		lower(what+"threads", "threads", threads)
		if c.name == ours {
			lower(fmt.Sprintf("then %d clients of the same user, all served", clients), "s", crowd)
		}
		return nil
	})
}

// slow starts the transfers, calls f while they are slow, and lets them finish.
func (b *bench) slow(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	fast := make(chan struct{})
	var begun, ended sync.WaitGroup
	begun.Add(slowTransfers)
	for range slowTransfers {
		ended.Go(func() {
			begin := sync.OnceFunc(begun.Done)
			defer begin()
			if err := b.fetchSlowly(ctx, begin, fast); err != nil {
				fail(fmt.Errorf("a slow transfer: %w", err))
			}
		})
	}
	begun.Wait()
	if ctx.Err() == nil {
		if err := f(ctx); err != nil {
			fail(err)
		}
	}
	close(fast)
	ended.Wait()
	return context.Cause(ctx)
}

// fetchSlowly pauses before each message, until it may be fast.
func (b *bench) fetchSlowly(ctx context.Context, begun func(), fast <-chan struct{}) error {
	c, err := harness.NewClient(harness.Shape(slowShape))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Request(ctx, b.queue, strconv.Itoa(slowBytes)); err != nil {
		return err
	}
	for bytes := 0; ; {
		m, err := c.Next(ctx)
		switch {
		case err != nil:
			return err
		case m.Kind == wire.Failure:
			return fmt.Errorf("the server says: %s", m.Body)
		case m.Kind == wire.End && bytes == slowBytes:
			return nil
		case m.Kind == wire.End:
			return fmt.Errorf("%d bytes came of %d", bytes, slowBytes)
		case m.Kind == wire.Data:
			bytes += len(m.Body)
		}
		begun()
		select {
		case <-fast:
		case <-time.After(slowPause):
		}
	}
}

// crowd lets many clients fetch a small file, and returns the seconds until the last was served. Each must exit with
// success. They write to files, not to pipes, whose ends a thousand forks would inherit.
func (b *bench) crowd(ctx context.Context, clients int) (float64, error) {
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
