package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

var own = int32(os.Getpid())

// deeds are the actions of hostile clients. The fate of their requests does not matter, only that of others'.
var deeds = []struct {
	name string
	do   func(s *session, ctx context.Context, chance *rand.Rand) error
}{
	{"garbage", func(s *session, ctx context.Context, chance *rand.Rand) error {
		message := make([]byte, chance.IntN(wire.RequestSize+1))
		for i := range message {
			message[i] = byte(chance.Uint32())
		}
		return s.sendRaw(ctx, message)
	}},
	{"replies to nowhere", func(s *session, ctx context.Context, chance *rand.Rand) error {
		return s.send(ctx, harness.QueueName("nowhere"), s.choose(chance).name)
	}},
	{"replies to the request queue", func(s *session, ctx context.Context, chance *rand.Rand) error {
		return s.send(ctx, s.place.Queue, s.choose(chance).name)
	}},
	{"queues of tiny messages", func(s *session, ctx context.Context, chance *rand.Rand) error {
		shape := harness.Shape{Depth: 1 + chance.IntN(10), MsgSize: 1 + chance.IntN(wire.MinMsgSize-1)}
		return s.visit(ctx, shape, own, s.choose(chance).name, 0, time.Millisecond)
	}},
	{"requests of no or another process", func(s *session, ctx context.Context, chance *rand.Rand) error {
		pids := []int32{0, -1, 1, 1 << 22, int32(chance.Uint32())}
		shape := harness.Shape{Depth: 1, MsgSize: wire.MinMsgSize}
		return s.visit(ctx, shape, pids[chance.IntN(len(pids))], s.large().name, chance.IntN(20), 0)
	}},
	{"clients gone after the request", func(s *session, ctx context.Context, chance *rand.Rand) error {
		return s.visit(ctx, harness.Small, own, s.choose(chance).name, 0, 0)
	}},
	{"clients that stop reading", func(s *session, ctx context.Context, chance *rand.Rand) error {
		stop := time.Duration(chance.IntN(int(stall + stall/2))) // longer or shorter than the server waits
		return s.visit(ctx, harness.Small, own, s.large().name, chance.IntN(50), stop)
	}},
	{"requests for what is no file", func(s *session, ctx context.Context, chance *rand.Rand) error {
		paths := []string{"", ".", "..", "../../etc/passwd", "/", "missing", "\x01\n", "file-0/x"}
		return s.visit(ctx, harness.Small, own, paths[chance.IntN(len(paths))], 1, 0)
	}},
	{"attempts to register in the server's place", register},
}

func (s *session) beHostile(ctx context.Context, chance *rand.Rand) {
	deed := deeds[chance.IntN(len(deeds))]
	if err := deed.do(s, ctx, chance); err == nil {
		s.count("hostile: " + deed.name)
	} else {
		pause(ctx, 5*time.Millisecond) // no server, or no room
	}
	pause(ctx, time.Duration(chance.IntN(int(2*time.Millisecond))))
}

func (s *session) sendRaw(ctx context.Context, message []byte) error {
	err := harness.SendRaw(ctx, s.place.Queue, message)
	if err == nil {
		s.count(requests)
	}
	return err
}

func (s *session) send(ctx context.Context, reply, path string) error {
	message, err := wire.Request{PID: own, Reply: reply, Path: path}.Append(nil)
	if err != nil {
		return err
	}
	return s.sendRaw(ctx, message)
}

// visit makes a request, takes up to a number of messages, stays for a while and removes its queue.
func (s *session) visit(ctx context.Context, shape harness.Shape, pid int32, path string, messages int, stay time.Duration) error {
	c, err := harness.NewClient(shape)
	if err != nil {
		return err
	}
	defer c.Close()
	c.PID = pid
	if err := c.Request(ctx, s.place.Queue, path); err != nil {
		return err
	}
	s.count(requests)
	limited, cancel := context.WithTimeout(ctx, stall)
	defer cancel()
	for range messages {
		if _, err := c.Next(limited); err != nil {
			break
		}
	}
	pause(ctx, stay)
	return nil
}

// register takes over the notification of the request queue, if it hits a moment without a registration.
func register(s *session, ctx context.Context, chance *rand.Rand) error {
	q, err := mq.OpenBlocking(s.place.Queue, os.O_WRONLY, 0, nil)
	if err != nil {
		return err
	}
	defer q.Close()
	for range 1 + chance.IntN(50) {
		err := q.NotifyNone()
		if err == nil {
			s.count("hostile: registrations in the server's place")
			pause(ctx, time.Duration(chance.IntN(int(20*time.Millisecond))))
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
	}
	return nil
}
