package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Ninety transfers at once of one user are what the default RLIMIT_MSGQUEUE has room for, beside the request queue.
const slowTransfers = 90

var slowShape = shape{2, 4096}

const (
	slowBytes  = 1 << 20
	slowLooks  = 20 // at the server's size, while its clients are slow
	slowPeriod = 25 * time.Millisecond
)

// burden is what slow transfers make of a server.
type burden struct {
	idle, memory float64 // MiB
	threads      float64
	crowd        float64 // seconds
}

// burdenOf measures a new server of the contestant under slow transfers.
func (b *bench) burdenOf(ctx context.Context, c contestant) (found burden, err error) {
	s, err := b.start(c, 1)
	if err != nil {
		return found, fmt.Errorf("%s: %w", c.name, err)
	}
	defer func() {
		if endErr := s.end(); err == nil {
			err = endErr
		}
	}()
	if found.idle, _, err = s.size(); err != nil {
		return found, err
	}
	err = b.slow(ctx, func() error {
		if err := found.look(ctx, s); err != nil || c.name != ours {
			return err
		}
		return found.lookAtCrowd(ctx, b, s)
	})
	if err != nil {
		return found, fmt.Errorf("%s: %w", c.name, err)
	}
	return found, nil
}

// lookAtCrowd goes on looking while a crowd of clients comes.
func (found *burden) lookAtCrowd(ctx context.Context, b *bench, s *server) error {
	served := make(chan error, 1)
	go func() {
		var err error
		found.crowd, err = b.crowd(ctx, crowdSize(b.quick))
		served <- err
	}()
	for {
		select {
		case err := <-served:
			return err
		default:
		}
		if err := found.look(ctx, s); err != nil {
			return errors.Join(err, <-served)
		}
	}
}

// slow calls f while slow transfers go on, and then lets them finish.
func (b *bench) slow(ctx context.Context, f func() error) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer unlinkAll(b.prefix, slowTransfers)
	cmd := helper(limited, b.path("slow"), b.queue, b.prefix, strconv.Itoa(slowBytes), strconv.Itoa(slowTransfers),
		strconv.Itoa(slowShape.depth), strconv.Itoa(slowShape.size))
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	bytes, err := watch(bufio.NewReader(out), in, f)
	if waitErr := cmd.Wait(); waitErr != nil {
		return explain("slow", waitErr, said.String())
	}
	if err == nil && bytes != slowTransfers*slowBytes {
		err = fmt.Errorf("slow transfers: %d bytes came of %d", bytes, slowTransfers*slowBytes)
	}
	return err
}

// watch calls f when the transfers are slow, and closes in to make them fast.
func watch(out *bufio.Reader, in io.Closer, f func() error) (bytes int, err error) {
	defer in.Close()
	if line, err := out.ReadString('\n'); line != "slow\n" {
		return 0, fmt.Errorf("slow printed %q: %w", line, err)
	}
	if err := f(); err != nil {
		return 0, err
	}
	in.Close()
	line, err := out.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line))
}

// look keeps the greatest of what it sees.
func (found *burden) look(ctx context.Context, s *server) error {
	ticks := time.NewTicker(slowPeriod)
	defer ticks.Stop()
	for range slowLooks {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		memory, threads, err := s.size()
		if err != nil {
			return err
		}
		found.memory, found.threads = max(found.memory, memory), max(found.threads, threads)
	}
	return nil
}
