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

// deeds are what hostile clients do. What becomes of their requests does not matter, only what becomes of others'.
var deeds = []struct {
	name string
	do   func(s *session, ctx context.Context, chance *rand.Rand) error
}{
	{"garbage", sendGarbage},
	{"replies to nowhere", replyToNowhere},
	{"replies to the request queue", replyToServer},
	{"queues of tiny messages", replyToTiny},
	{"requests of no or another process", lieAboutPID},
	{"clients gone after the request", leaveAtOnce},
	{"clients that stop reading", stopReading},
	{"requests for what is no file", askForNonsense},
	{"attempts to register in the server's place", register},
}

func (s *session) beHostile(ctx context.Context, chance *rand.Rand) {
	deed := deeds[chance.IntN(len(deeds))]
	if err := deed.do(s, ctx, chance); err == nil {
		s.count("hostile: " + deed.name)
	} else {
		pause(ctx, 5*time.Millisecond) // there is no server, or no room
	}
	pause(ctx, time.Duration(chance.IntN(int(2*time.Millisecond))))
}

func sendGarbage(s *session, ctx context.Context, chance *rand.Rand) error {
	message := make([]byte, chance.IntN(wire.RequestSize+1))
	for i := range message {
		message[i] = byte(chance.Uint32())
	}
	return s.sendRaw(ctx, message)
}

func (s *session) sendRaw(ctx context.Context, message []byte) error {
	err := harness.SendRaw(ctx, s.place.Queue, message)
	if err == nil {
		s.count(requests)
	}
	return err
}

func (s *session) send(ctx context.Context, r wire.Request) error {
	message, err := r.Append(nil)
	if err != nil {
		return err
	}
	return s.sendRaw(ctx, message)
}

func replyToNowhere(s *session, ctx context.Context, chance *rand.Rand) error {
	return s.send(ctx, wire.Request{PID: int32(os.Getpid()), Reply: harness.QueueName("nowhere"), Path: s.choose(chance).name})
}

func replyToServer(s *session, ctx context.Context, chance *rand.Rand) error {
	return s.send(ctx, wire.Request{PID: int32(os.Getpid()), Reply: s.place.Queue, Path: s.choose(chance).name})
}

// withQueue makes a request with a reply queue of that shape, and removes the queue after what then does.
func (s *session) withQueue(ctx context.Context, shape harness.Shape, pid int32, path string, then func(c *harness.Client)) error {
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
	then(c)
	return nil
}

func replyToTiny(s *session, ctx context.Context, chance *rand.Rand) error {
	shape := harness.Shape{Depth: 1 + chance.IntN(10), MsgSize: 1 + chance.IntN(wire.MinMsgSize-1)}
	return s.withQueue(ctx, shape, int32(os.Getpid()), s.choose(chance).name, func(*harness.Client) {
		pause(ctx, time.Millisecond)
	})
}

func lieAboutPID(s *session, ctx context.Context, chance *rand.Rand) error {
	pids := []int32{0, -1, 1, 1 << 22, int32(chance.Uint32())}
	shape := harness.Shape{Depth: 1, MsgSize: wire.MinMsgSize}
	return s.withQueue(ctx, shape, pids[chance.IntN(len(pids))], large, func(c *harness.Client) {
		take(ctx, c, chance.IntN(20))
	})
}

func leaveAtOnce(s *session, ctx context.Context, chance *rand.Rand) error {
	return s.withQueue(ctx, harness.Small, int32(os.Getpid()), s.choose(chance).name, func(*harness.Client) {})
}

// stopReading takes some messages and no more, for longer than the server waits or for less.
func stopReading(s *session, ctx context.Context, chance *rand.Rand) error {
	return s.withQueue(ctx, harness.Small, int32(os.Getpid()), large, func(c *harness.Client) {
		take(ctx, c, chance.IntN(50))
		pause(ctx, time.Duration(chance.IntN(int(stall+stall/2))))
	})
}

// take receives so many messages, if they come.
func take(ctx context.Context, c *harness.Client, messages int) {
	limited, cancel := context.WithTimeout(ctx, stall)
	defer cancel()
	for range messages {
		if _, err := c.Next(limited); err != nil {
			return
		}
	}
}

func askForNonsense(s *session, ctx context.Context, chance *rand.Rand) error {
	paths := []string{"", ".", "..", "../../etc/passwd", "/", "missing", "\x01\n", "file-0/x"}
	return s.withQueue(ctx, harness.Small, int32(os.Getpid()), paths[chance.IntN(len(paths))], func(c *harness.Client) {
		take(ctx, c, 1)
	})
}

// register takes the place of the server's registration, if it finds a moment in which there is none.
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
