//go:build linux

package mq_test

import (
	"context"
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
				if err := q.Send(ctx, buf, 1); err != nil {
					b.Fatal(err)
				}
				if _, _, err := q.Receive(ctx, buf); err != nil {
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

// ways to wait, as the benchmarks and their peers in other processes choose them.
var waysToWait = []string{"Queue", "Blocking"}

// end is what the benchmarks need of an open queue.
type end struct {
	send    func([]byte, uint) error
	receive func([]byte) (int, uint, error)
}

func endOf(q *mq.Queue) end {
	ctx := context.Background()
	return end{
		func(msg []byte, prio uint) error { return q.Send(ctx, msg, prio) },
		func(buf []byte) (int, uint, error) { return q.Receive(ctx, buf) },
	}
}

// openEnd opens a queue once more, to wait in this way.
func openEnd(way, name string) (end, func() error, error) {
	if way == "Blocking" {
		b, err := mq.OpenBlocking(name, os.O_RDWR, 0, nil)
		if err != nil {
			return end{}, nil, err
		}
		return end{b.Send, b.Receive}, b.Close, nil
	}
	q, err := mq.Open(name, os.O_RDWR, 0, nil)
	if err != nil {
		return end{}, nil, err
	}
	return endOf(q), q.Close, nil
}

// A message there and one back, each waited for: by a goroutine of this process, by one of another, by a C program.
func BenchmarkPingPong(b *testing.B) {
	for _, way := range waysToWait {
		for _, peer := range []string{"goroutine", "process"} {
			b.Run(way+"/"+peer, func(b *testing.B) {
				names := [2]string{newQueue(b, 1, 16).Name(), newQueue(b, 1, 16).Name()}
				var ends [2]end
				for i, name := range names {
					var close func() error
					var err error
					ends[i], close, err = openEnd(way, name)
					must(b, err)
					defer close()
				}
				ended := make(chan error, 1)
				if peer == "goroutine" {
					go func() { ended <- echoEnds(ends[0], ends[1]) }()
				} else {
					child := actor("echo", way, names[0], names[1])
					child.Stderr = os.Stderr
					must(b, child.Start())
					go func() { ended <- child.Wait() }()
				}
				buf := make([]byte, 16)
				b.ReportAllocs()
				for b.Loop() {
					must(b, ends[0].send(buf, 0), err2(ends[1].receive(buf)))
				}
				must(b, ends[0].send(nil, 0), <-ended)
			})
		}
	}
}

// echo sends back what comes, until an empty message.
func echoEnds(there, back end) error {
	buf := make([]byte, 16)
	for {
		n, _, err := there.receive(buf)
		if err != nil || n == 0 {
			return err
		}
		if err := back.send(buf[:n], 0); err != nil {
			return err
		}
	}
}

func init() {
	parts["echo"] = func(args []string) error {
		there, closeThere, err := openEnd(args[0], args[1])
		if err != nil {
			return err
		}
		defer closeThere()
		back, closeBack, err := openEnd(args[0], args[2])
		if err != nil {
			return err
		}
		defer closeBack()
		return echoEnds(there, back)
	}
	parts["receive all"] = func(args []string) error {
		q, err := mq.Open(args[0], os.O_RDONLY, 0, nil)
		if err != nil {
			return err
		}
		defer q.Close()
		return receiveAll(q)
	}
}

// A file's way: one side sends as fast as the other takes.
func BenchmarkBulk(b *testing.B) {
	for _, shape := range []mq.Attr{{MaxMsg: 10, MsgSize: 8192}, {MaxMsg: 4, MsgSize: 8192}, {MaxMsg: 10, MsgSize: 4096}} {
		for _, peer := range []string{"goroutine", "process"} {
			b.Run(fmt.Sprintf("%dx%d/%s", shape.MaxMsg, shape.MsgSize, peer), func(b *testing.B) {
				q := newQueue(b, shape.MaxMsg, shape.MsgSize)
				ended := make(chan error, 1)
				if peer == "goroutine" {
					go func() { ended <- receiveAll(q) }()
				} else {
					child := actor("receive all", q.Name())
					child.Stderr = os.Stderr
					must(b, child.Start())
					go func() { ended <- child.Wait() }()
				}
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

// receiveAll takes messages until an empty one.
func receiveAll(q *mq.Queue) error {
	a, err := q.Attr()
	buf := make([]byte, a.MsgSize)
	for n := 1; n > 0 && err == nil; {
		n, _, err = q.Receive(context.Background(), buf)
	}
	return err
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
