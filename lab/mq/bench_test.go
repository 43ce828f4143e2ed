//go:build linux

package mq_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"daemonlab/lab/mq"
)

// One goroutine that never has to wait: the cost of the calls.
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

func BenchmarkTryReceiveEmpty(b *testing.B) {
	q := newQueue(b, 1, 16)
	buf := make([]byte, 16)
	b.ReportAllocs()
	for b.Loop() {
		q.TryReceive(buf)
	}
}

// What a server does for a client's reply queue, but for the messages.
func BenchmarkOpenClose(b *testing.B) {
	name := newQueue(b, 1, 16).Name()
	b.ReportAllocs()
	for b.Loop() {
		q, err := mq.Open(name, os.O_WRONLY, 0, nil)
		must(b, err, q.Close())
	}
}

// end is what the benchmarks need of an open queue.
type end struct {
	send    func([]byte, uint) error
	receive func([]byte) (int, uint, error)
	close   func() error
}

// openEnd opens a queue once more, to wait in this way.
func openEnd(way, name string) (end, error) {
	if way == "Blocking" {
		b, err := mq.OpenBlocking(name, os.O_RDWR, 0, nil)
		return end{b.Send, b.Receive, b.Close}, err
	}
	q, err := mq.Open(name, os.O_RDWR, 0, nil)
	return end{
		func(msg []byte, prio uint) error { return q.Send(context.Background(), msg, prio) },
		func(buf []byte) (int, uint, error) { return q.Receive(context.Background(), buf) },
		q.Close,
	}, err
}

func init() {
	// The arguments are a way to wait and the names of the queues.
	parts["echo"] = func(args []string) error { // sends back what comes, until an empty message
		there, thereErr := openEnd(args[0], args[1])
		back, backErr := openEnd(args[0], args[2])
		err := errors.Join(thereErr, backErr)
		for n, buf := 1, make([]byte, 16); n > 0 && err == nil; {
			if n, _, err = there.receive(buf); n > 0 {
				err = back.send(buf[:n], 0)
			}
		}
		return errors.Join(err, there.close(), back.close())
	}
	parts["receive all"] = func(args []string) error { // until an empty message
		q, err := openEnd(args[0], args[1])
		for n, buf := 1, make([]byte, 8192); n > 0 && err == nil; {
			n, _, err = q.receive(buf)
		}
		return errors.Join(err, q.close())
	}
}

// start has a goroutine or another process play a part.
func start(b *testing.B, peer, part string, args ...string) <-chan error {
	ended := make(chan error, 1)
	run := func() error { return parts[part](args) }
	if peer == "process" {
		child := actor(part, args...)
		child.Stderr = os.Stderr
		run = child.Run
	}
	go func() { ended <- run() }()
	return ended
}

// A message there and one back, each waited for: by a goroutine of this process, or by one of another.
func BenchmarkPingPong(b *testing.B) {
	for _, way := range []string{"Queue", "Blocking"} {
		for _, peer := range []string{"goroutine", "process"} {
			b.Run(way+"/"+peer, func(b *testing.B) {
				names := []string{newQueue(b, 1, 16).Name(), newQueue(b, 1, 16).Name()}
				ended := start(b, peer, "echo", way, names[0], names[1])
				there, thereErr := openEnd(way, names[0])
				back, backErr := openEnd(way, names[1])
				must(b, thereErr, backErr)
				buf := make([]byte, 16)
				b.ReportAllocs()
				for b.Loop() {
					must(b, there.send(buf, 0), err2(back.receive(buf)))
				}
				must(b, there.send(nil, 0), <-ended, there.close(), back.close())
			})
		}
	}
}

// A file's way: one side sends as fast as the other takes.
func BenchmarkBulk(b *testing.B) {
	for _, shape := range []mq.Attr{{MaxMsg: 10, MsgSize: 8192}, {MaxMsg: 4, MsgSize: 8192}, {MaxMsg: 10, MsgSize: 4096}} {
		for _, peer := range []string{"goroutine", "process"} {
			b.Run(fmt.Sprintf("%dx%d/%s", shape.MaxMsg, shape.MsgSize, peer), func(b *testing.B) {
				q := newQueue(b, shape.MaxMsg, shape.MsgSize)
				ended := start(b, peer, "receive all", "Queue", q.Name())
				msg := make([]byte, shape.MsgSize)
				b.SetBytes(int64(shape.MsgSize))
				b.ReportAllocs()
				for b.Loop() {
					if err := q.Send(b.Context(), msg, 2); err != nil {
						b.Fatal(err)
					}
				}
				must(b, q.Send(b.Context(), nil, 1), <-ended)
			})
		}
	}
}

// From before mq_send to the first statement of the handler, and the whole round of registering, sending, handling.
func BenchmarkNotify(b *testing.B) {
	q := newQueue(b, 1, 16)
	buf := make([]byte, 16)
	handled := make(chan time.Time)
	handle := func(mq.Event) { handled <- time.Now() }
	var latency time.Duration
	b.ReportAllocs()
	for b.Loop() {
		must(b, q.Notify(handle))
		sent := time.Now()
		must(b, q.TrySend(nil, 0))
		latency += (<-handled).Sub(sent)
		must(b, err2(q.TryReceive(buf)))
	}
	b.ReportMetric(float64(latency.Nanoseconds())/float64(b.N), "ns/latency")
}
