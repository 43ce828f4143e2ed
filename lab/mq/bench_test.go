package mq_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"daemonlab/lab/mq"
	"daemonlab/lab/parts"
)

// One goroutine that never blocks: the cost of the calls alone.
func BenchmarkSendReceive(b *testing.B) {
	for _, size := range []int{16, 1024, 8192} {
		b.Run(fmt.Sprint(size, "B"), func(b *testing.B) {
			q := newQueue(b, 2, size)
			ctx, buf := context.Background(), make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := cmp.Or(q.Send(ctx, buf, 1), err2(q.Receive(ctx, buf))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a server does with a client's reply queue, apart from the messages.
func BenchmarkOpenClose(b *testing.B) {
	name := newQueue(b, 1, 16).Name()
	b.ReportAllocs()
	for b.Loop() {
		q, err := mq.Open(name, os.O_WRONLY, 0, nil)
		must(b, err, q.Close())
	}
}

// end is an open queue as the ping-pong needs it.
type end interface {
	Send([]byte, uint) error
	Receive([]byte) (int, uint, error)
	Close() error
}

// polling waits in the poller, without a deadline.
type polling struct{ *mq.Queue }

func (p polling) Send(msg []byte, prio uint) error {
	return p.Queue.Send(context.Background(), msg, prio)
}

func (p polling) Receive(buf []byte) (int, uint, error) {
	return p.Queue.Receive(context.Background(), buf)
}

// openEnds opens the two queues, there and back, for one way to wait.
func openEnds(way string, names []string) (ends [2]end, err error) {
	for i, name := range names {
		if way == "Blocking" {
			b, openErr := mq.OpenBlocking(name, os.O_RDWR, 0, nil)
			ends[i], err = b, errors.Join(err, openErr)
		} else {
			q, openErr := mq.Open(name, os.O_RDWR, 0, nil)
			ends[i], err = polling{q}, errors.Join(err, openErr)
		}
	}
	return ends, err
}

func init() {
	// Echoes messages up to an empty one. The arguments are a way to wait and the names of the queues.
	parts.Add("echo", func(args []string) error {
		ends, err := openEnds(args[0], args[1:])
		for n, buf := 1, make([]byte, 16); n > 0 && err == nil; {
			if n, _, err = ends[0].Receive(buf); n > 0 {
				err = ends[1].Send(buf[:n], 0)
			}
		}
		return err
	})
}

// One message to another process and one back, each with a wait.
func BenchmarkPingPong(b *testing.B) {
	for _, way := range []string{"Queue", "Blocking"} {
		b.Run(way, func(b *testing.B) {
			names := []string{newQueue(b, 1, 16).Name(), newQueue(b, 1, 16).Name()}
			echo := parts.Command("echo", way, names[0], names[1])
			echo.Stderr = os.Stderr
			must(b, echo.Start())
			ends, err := openEnds(way, names)
			must(b, err)
			buf := make([]byte, 16)
			b.ReportAllocs()
			for b.Loop() {
				must(b, ends[0].Send(buf, 0), err2(ends[1].Receive(buf)))
			}
			must(b, ends[0].Send(nil, 0), echo.Wait(), ends[0].Close(), ends[1].Close())
		})
	}
}
